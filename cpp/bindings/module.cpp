#include <pybind11/pybind11.h>

#include <exception>
#include <stdexcept>
#include <string>

#include "base/error.hpp"
#include "bindings.hpp"
#include "model/interpolation.hpp"
#include "model/latents.hpp"
#include "onnx/model_file.hpp"
#include "random/philox.hpp"

namespace py = pybind11;

namespace digitvae::bindings {
namespace {

constexpr const char* kMainOnly =
    "digitvae._native works in the main interpreter only, not in a sub-interpreter: use threads of the main one, or "
    "processes";

// A sub-interpreter has objects and locks of its own. pybind11 and our threads take them for the main one's, and
// would wait for ever.
bool is_main_interpreter() { return PyInterpreterState_Get() == PyInterpreterState_Main(); }

void raise(const char* exception_name, const char* message) {
  const py::object type = py::module_::import("digitvae.base.errors").attr(exception_name);
  PyErr_SetString(type.ptr(), message);
}

void translate(std::exception_ptr error) {
  try {
    if (error) std::rethrow_exception(error);
  } catch (const RuntimeLibraryError& failure) {
    raise("RuntimeLibraryError", failure.what());
  } catch (const ModelError& failure) {
    raise("BundleError", failure.what());
  } catch (const InvalidArgument& failure) {
    PyErr_SetString(PyExc_ValueError, failure.what());
  }
}

py::tuple philox(std::uint32_t c0, std::uint32_t c1, std::uint32_t c2, std::uint32_t c3, std::uint32_t k0,
                 std::uint32_t k1) {
  const PhiloxCounter words = philox4x32_10({c0, c1, c2, c3}, {k0, k1});
  return py::make_tuple(words[0], words[1], words[2], words[3]);
}

py::tuple normals(std::uint32_t radius_word, std::uint32_t angle_word) {
  const NormalPair pair = normals_from_words(radius_word, angle_word);
  return py::make_tuple(pair.first, pair.second);
}

void fill_normal(const py::buffer& out, std::size_t dim, std::uint64_t seed, std::uint64_t first,
                 std::uint32_t stream) {
  require_from_to(1, kMaxSize, dim, "dim");
  const Rows rows(out, "out", dim, true);
  float* const target = rows.floats();
  without_gil([&](const Poll& poll) {
    sample_prior(seed, static_cast<Stream>(stream), first, rows.count(), dim, target, 0, poll);
  });
}

void interpolate(const py::buffer& a, const py::buffer& b, const py::buffer& out, std::size_t dim, std::size_t steps,
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
}

onnx::Role role_of(const std::string& name) {
  if (name == "network") return onnx::Role::kNetwork;
  if (name == "mixture") return onnx::Role::kMixture;
  if (name == "any") return onnx::Role::kAny;
  throw py::value_error("role is '" + name + "', expected network, mixture or any");
}

void check_model(const py::bytes& model, const std::string& role) {
  const std::string_view file = model;
  const onnx::Role asked = role_of(role);
  without_gil([&](const Poll&) { onnx::Model(file.data(), file.size(), asked); });
}

void register_functions(py::module_& module) {
  module.def("philox4x32_10", &philox, py::arg("c0"), py::arg("c1"), py::arg("c2"), py::arg("c3"), py::arg("k0"),
             py::arg("k1"));
  module.def("uniform_from_word", &uniform_from_word, py::arg("word"));
  module.def("normals_from_words", &normals, py::arg("radius_word"), py::arg("angle_word"));
  module.def("fill_standard_normal", &fill_normal, py::arg("out"), py::kw_only(), py::arg("dim"), py::arg("seed"),
             py::arg("first"), py::arg("stream"));
  module.def("interpolate", &interpolate, py::arg("a"), py::arg("b"), py::arg("out"), py::kw_only(), py::arg("dim"),
             py::arg("steps"), py::arg("spherical"));
  module.def("check_model", &check_model, py::arg("model"), py::arg("role"));
}

}  // namespace
}  // namespace digitvae::bindings

// Python calls PyInit__native, below, and that calls what pybind11 defines under this name: before Python 3.13 in the
// interpreter that imports, where pybind11 must not begin at all; from 3.13 on in the main one, and the content of the
// module is then made in the one that imports.
#define PyInit__native PyInit_of_pybind11
PYBIND11_MODULE(_native, module, py::multiple_interpreters::not_supported()) {
  using namespace digitvae::bindings;
  if (!is_main_interpreter()) throw std::runtime_error(kMainOnly);  // pybind11 makes it an ImportError
  module.doc() = "The native core of digitvae, raw: buffers in, buffers out. Use digitvae.load() instead.";
  py::register_local_exception_translator(&translate);
  register_functions(module);
  register_engine(module);
}
#undef PyInit__native

extern "C" PYBIND11_EXPORT PyObject* PyInit__native() {
  if (digitvae::bindings::is_main_interpreter()) return PyInit_of_pybind11();
  PyErr_SetString(PyExc_ImportError, digitvae::bindings::kMainOnly);
  return nullptr;
}
