#include "model/interpolation.hpp"

#include "bindings.hpp"

namespace py = pybind11;

namespace digitvae::bindings {

void register_interpolation(py::module_& module) {
  module.def(
      "interpolate",
      [](const py::buffer& a, const py::buffer& b, const py::buffer& out, std::size_t dim, std::size_t steps,
         bool spherical) {
        require_from_to(1, kMaxSize, dim, "dim");
        require_from_to(2, kMaxSize, steps, "steps");  // the product is a row of `out`
        const Rows from(a, "a", dim, false);
        const Rows to(b, "b", dim, false);
        const Rows path(out, "out", dim * steps, true);
        require_same_count(from.count(), to.count(), "b");
        require_same_count(from.count(), path.count(), "out");
        const float* const from_rows = from.floats();
        const float* const to_rows = to.floats();
        float* const path_rows = path.floats();
        const Interpolation method = spherical ? Interpolation::kSpherical : Interpolation::kLinear;
        without_gil([&](const Poll& poll) {
          digitvae::interpolate(from_rows, to_rows, from.count(), dim, steps, method, path_rows, 0, poll);
        });
      },
      py::arg("a"), py::arg("b"), py::arg("out"), py::kw_only(), py::arg("dim"), py::arg("steps"),
      py::arg("spherical"));
}

}  // namespace digitvae::bindings
