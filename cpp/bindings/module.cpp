#include <pybind11/pybind11.h>

#include <stdexcept>

#include "bindings.hpp"

namespace {

constexpr const char* kMainOnly =
    "digitvae._native works in the main interpreter only, not in a sub-interpreter: use threads of the main one, or "
    "processes";

// A sub-interpreter has objects and locks of its own. pybind11 and our threads take them for the main one's, and
// would wait for ever.
bool is_main_interpreter() { return PyInterpreterState_Get() == PyInterpreterState_Main(); }

}  // namespace

// Python calls PyInit__native, below, and that calls what pybind11 defines under this name: before Python 3.13 in the
// interpreter that imports, where pybind11 must not begin at all; from 3.13 on in the main one, and the content of the
// module is then made in the one that imports.
#define PyInit__native PyInit_of_pybind11
PYBIND11_MODULE(_native, module, pybind11::multiple_interpreters::not_supported()) {
  if (!is_main_interpreter()) throw std::runtime_error(kMainOnly);  // pybind11 makes it an ImportError
  module.doc() = "The native core of digitvae, raw: buffers in, buffers out. Use digitvae.load() instead.";
  digitvae::bindings::register_errors(module);
  digitvae::bindings::register_random(module);
  digitvae::bindings::register_runtime(module);
  digitvae::bindings::register_engine(module);
  digitvae::bindings::register_onnx_file(module);
  digitvae::bindings::register_interpolation(module);
}
#undef PyInit__native

extern "C" PYBIND11_EXPORT PyObject* PyInit__native() {
  if (is_main_interpreter()) return PyInit_of_pybind11();
  PyErr_SetString(PyExc_ImportError, kMainOnly);
  return nullptr;
}
