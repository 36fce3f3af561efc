#include "bindings.hpp"
#include "model/latents.hpp"
#include "random/philox.hpp"

namespace py = pybind11;

namespace digitvae::bindings {

void register_random(py::module_& module) {
  module.def(
      "philox4x32_10",
      [](std::uint32_t c0, std::uint32_t c1, std::uint32_t c2, std::uint32_t c3, std::uint32_t k0, std::uint32_t k1) {
        const PhiloxCounter words = philox4x32_10({c0, c1, c2, c3}, {k0, k1});
        return py::make_tuple(words[0], words[1], words[2], words[3]);
      },
      py::arg("c0"), py::arg("c1"), py::arg("c2"), py::arg("c3"), py::arg("k0"), py::arg("k1"));
  module.def("uniform_from_word", &uniform_from_word, py::arg("word"));
  module.def(
      "normals_from_words",
      [](std::uint32_t radius_word, std::uint32_t angle_word) {
        const NormalPair normals = normals_from_words(radius_word, angle_word);
        return py::make_tuple(normals.first, normals.second);
      },
      py::arg("radius_word"), py::arg("angle_word"));
  module.def(
      "fill_standard_normal",
      [](const py::buffer& out, std::size_t dim, std::uint64_t seed, std::uint64_t first, std::uint32_t stream) {
        require_from_to(1, kMaxSize, dim, "dim");
        const Rows rows(out, "out", dim, true);
        float* const target = rows.floats();
        without_gil([&](const Poll& poll) {
          sample_prior(seed, static_cast<Stream>(stream), first, rows.count(), dim, target, 0, poll);
        });
      },
      py::arg("out"), py::kw_only(), py::arg("dim"), py::arg("seed"), py::arg("first"), py::arg("stream"));
}

}  // namespace digitvae::bindings
