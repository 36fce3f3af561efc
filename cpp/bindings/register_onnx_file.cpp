#include <string>

#include "bindings.hpp"
#include "onnx_file/graph.hpp"

namespace py = pybind11;

namespace digitvae::bindings {
namespace {

onnx_file::Role role_of(const std::string& name) {
  if (name == "network") return onnx_file::Role::kNetwork;
  if (name == "mixture") return onnx_file::Role::kMixture;
  if (name == "any") return onnx_file::Role::kAny;
  throw py::value_error("role is '" + name + "', expected network, mixture or any");
}

void check_model(const py::bytes& model, const std::string& role) {
  const std::string_view file = model;
  const onnx_file::Role asked = role_of(role);
  without_gil([&](const Poll&) { onnx_file::Model(file.data(), file.size(), asked); });
}

}  // namespace

void register_onnx_file(py::module_& module) {
  module.def("check_model", &check_model, py::arg("model"), py::arg("role"));
}

}  // namespace digitvae::bindings
