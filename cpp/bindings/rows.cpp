#include <algorithm>

#include "bindings.hpp"

namespace py = pybind11;

namespace digitvae::bindings {
namespace {

void require_contiguous(const py::buffer_info& info, const std::string& name) {
  py::ssize_t expected_stride = info.itemsize;
  for (py::ssize_t axis = info.ndim - 1; axis >= 0; --axis) {
    const auto i = static_cast<std::size_t>(axis);
    if (info.shape[i] > 1 && info.strides[i] != expected_stride) {
      throw py::value_error(name + " is not C-contiguous; pass a contiguous copy");
    }
    expected_stride *= info.shape[i];
  }
}

// ctypes writes the byte order down even where it is the machine's own.
std::string format_of(const py::buffer_info& info) {
  return info.format.substr(std::min(info.format.size(), info.format.find_first_not_of("@=<")));
}

void require_aligned(const py::buffer_info& info, const std::string& what) {
  if (reinterpret_cast<std::uintptr_t>(info.ptr) % 4 == 0) return;
  throw py::value_error(what + " that does not begin at a multiple of four bytes; pass a copy");
}

}  // namespace

Rows::Rows(const py::buffer& buffer, const std::string& name, std::size_t columns, bool writable)
    : info_(buffer.request(writable)), name_(name) {
  require_contiguous(info_, name);
  const std::string format = format_of(info_);
  is_float_ = format == "f";
  if (!is_float_ && format != "B") {
    throw py::value_error(name + " has buffer format '" + info_.format + "', expected 'f' (float32) or 'B' (uint8)");
  }
  if (is_float_) require_aligned(info_, name + " is float32");
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

Labels::Labels(const py::buffer& buffer, std::size_t count) : info_(buffer.request(true)) {
  require_contiguous(info_, "labels");
  // A C long is int32 on some machines, an int on all that there are.
  const std::string format = format_of(info_);
  if (info_.itemsize != sizeof(std::int32_t) || (format != "i" && format != "l")) {
    throw py::value_error("labels has buffer format '" + info_.format + "', expected 'i' (int32)");
  }
  require_aligned(info_, "labels is int32");
  const auto values = static_cast<std::size_t>(info_.size);
  if (values != count) {
    throw py::value_error("labels has " + std::to_string(values) + " values, expected " + std::to_string(count));
  }
}

void require_from_to(std::uint64_t low, std::uint64_t high, std::uint64_t value, const std::string& name) {
  if (value >= low && value <= high) return;
  throw py::value_error(name + " is " + std::to_string(value) + ", expected " + std::to_string(low) + " to " +
                        std::to_string(high));
}

void require_same_count(std::size_t expected, std::size_t found, const std::string& name) {
  if (found != expected) {
    throw py::value_error(name + " has " + std::to_string(found) + " rows, expected " + std::to_string(expected));
  }
}

}  // namespace digitvae::bindings
