#include <pybind11/pybind11.h>

#include "bindings.hpp"

PYBIND11_MODULE(_native, module) {
  module.doc() = "The native core of digitvae, raw: buffers in, buffers out. Use digitvae.load() instead.";
  digitvae::bindings::register_errors(module);
  digitvae::bindings::register_random(module);
  digitvae::bindings::register_runtime(module);
  digitvae::bindings::register_engine(module);
  digitvae::bindings::register_onnx_file(module);
  digitvae::bindings::register_interpolation(module);
  digitvae::bindings::register_bench(module);
}
