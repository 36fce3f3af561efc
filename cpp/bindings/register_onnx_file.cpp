#include <string_view>

#include "bindings.hpp"
#include "onnx_file/graph.hpp"

namespace py = pybind11;

namespace digitvae::bindings {
namespace {

void check_model(const py::bytes& model, onnx_file::Role role) {
  const std::string_view file = model;
  without_gil([&](const Poll&) { onnx_file::Model(file.data(), file.size(), role); });
}

}  // namespace

void register_onnx_file(py::module_& module) {
  py::enum_<onnx_file::Role>(module, "Role")
      .value("NETWORK", onnx_file::Role::kNetwork)
      .value("MIXTURE", onnx_file::Role::kMixture)
      .value("ANY", onnx_file::Role::kAny);
  module.def("check_model", &check_model, py::arg("model"), py::arg("role"));
}

}  // namespace digitvae::bindings
