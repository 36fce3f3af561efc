#include "bindings.hpp"
#include "only_made.hpp"
#include "onnx/library.hpp"

DIGITVAE_ONLY_MADE(digitvae::Runtime)

namespace py = pybind11;

namespace digitvae::bindings {

void register_runtime(py::module_& module) {
  // Python keeps no const; the class has no way to change after open().
  py::class_<Runtime, std::shared_ptr<Runtime>>(module, "Runtime")
      .def(py::init([](const std::string& path) {
             std::shared_ptr<const Runtime> opened;
             without_gil([&](const Poll&) { opened = Runtime::open(path); });  // loading takes a while
             return std::const_pointer_cast<Runtime>(opened);
           }),
           py::arg("path"))
      .def_property_readonly("path", [](const Runtime& runtime) { return runtime.path(); })
      .def_property_readonly("version", [](const Runtime& runtime) { return runtime.version(); });
}

}  // namespace digitvae::bindings
