#include "bindings.hpp"

namespace py = pybind11;

namespace digitvae::bindings {

Rows::Rows(const py::buffer& buffer, const std::string& name, std::size_t columns, bool writable)
    : info_(buffer.request(writable)), name_(name) {
  py::ssize_t expected_stride = info_.itemsize;
  for (py::ssize_t axis = info_.ndim - 1; axis >= 0; --axis) {
    const auto i = static_cast<std::size_t>(axis);
    if (info_.shape[i] > 1 && info_.strides[i] != expected_stride) {
      throw py::value_error(name + " is not C-contiguous; pass a contiguous copy");
    }
    expected_stride *= info_.shape[i];
  }
  // ctypes writes the byte order down even where it is the machine's own.
  const std::string format = info_.format.substr(info_.format.find_first_not_of("@=<"));
  is_float_ = format == "f";
  if (!is_float_ && format != "B") {
    throw py::value_error(name + " has buffer format '" + info_.format + "', expected 'f' (float32) or 'B' (uint8)");
  }
  if (is_float_ && reinterpret_cast<std::uintptr_t>(info_.ptr) % alignof(float) != 0) {
    throw py::value_error(name + " is float32 that does not begin at a multiple of four bytes; pass a copy");
  }
  const auto values = static_cast<std::size_t>(info_.size);
  if (values % columns != 0) {
    throw py::value_error(name + " has " + std::to_string(values) + " values, expected a multiple of " +
                          std::to_string(columns));
  }
  count_ = values / columns;
}

float* Rows::floats() const {
  if (!is_float_) throw py::value_error(name_ + " is uint8, expected float32");
  return static_cast<float*>(info_.ptr);
}

void require_same_count(std::size_t expected, std::size_t found, const std::string& name) {
  if (found != expected) {
    throw py::value_error(name + " has " + std::to_string(found) + " rows, expected " + std::to_string(expected));
  }
}

}  // namespace digitvae::bindings
