// What can go wrong in the core, as C++ exceptions. They never cross a language boundary:
// the Python module and the C API translate them.
#pragma once

#include <stdexcept>
#include <string>

namespace digitvae {

// An argument that the caller could have checked: a count, a size, a value that is not finite.
class InvalidArgument : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

// The ONNX Runtime shared library is missing, too old, or failed in a call.
class RuntimeLibraryError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The bytes of a model are not an ONNX model, or not one of ours.
class ModelError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The caller's poll asked to stop.
class Cancelled : public std::runtime_error {
 public:
  Cancelled() : std::runtime_error("cancelled") {}
};

}  // namespace digitvae
