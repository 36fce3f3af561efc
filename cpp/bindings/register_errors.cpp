#include "base/error.hpp"

#include <exception>

#include "bindings.hpp"

namespace py = pybind11;

namespace digitvae::bindings {
namespace {

void raise(const char* exception_name, const char* message) {
  const py::object type = py::module_::import("digitvae.base.errors").attr(exception_name);
  PyErr_SetString(type.ptr(), message);
}

}  // namespace

void register_errors(py::module_& /*module*/) {
  py::register_local_exception_translator([](std::exception_ptr error) {
    try {
      if (error) std::rethrow_exception(error);
    } catch (const RuntimeLibraryError& failure) {
      raise("RuntimeLibraryError", failure.what());
    } catch (const ModelError& failure) {
      raise("BundleError", failure.what());
    } catch (const InvalidArgument& failure) {
      PyErr_SetString(PyExc_ValueError, failure.what());
    }
  });
}

}  // namespace digitvae::bindings
