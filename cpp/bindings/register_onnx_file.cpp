#include <string>

#include "bindings.hpp"
#include "onnx/model_file.hpp"

namespace py = pybind11;

namespace digitvae::bindings {
namespace {

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

}  // namespace

void register_onnx_file(py::module_& module) {
  module.def("check_model", &check_model, py::arg("model"), py::arg("role"));
}

}  // namespace digitvae::bindings
