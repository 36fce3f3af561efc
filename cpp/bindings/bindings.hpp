// What the files of the module share. This layer is raw: buffers in, buffers out, no NumPy;
// digitvae/engine/model.py makes it friendly.
#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "schedule/tiles.hpp"

namespace digitvae::bindings {

void register_engine(pybind11::module_& module);

inline constexpr std::uint64_t kMaxThreads = 1024;
inline constexpr std::uint64_t kMaxSize = (std::uint64_t{1} << 31) - 1;  // of one dimension: products of two fit

// ValueError unless low <= value <= high.
void require_from_to(std::uint64_t low, std::uint64_t high, std::uint64_t value, const std::string& name);

// A C-contiguous Python buffer of float32 ('f') or bytes ('B'), seen as rows of `columns` values.
// Throws ValueError (wrong format, layout or size) and TypeError (read-only where written).
// `name` is the argument's name, for the message.
class Rows {
 public:
  Rows(const pybind11::buffer& buffer, const std::string& name, std::size_t columns, bool writable);

  std::size_t count() const { return count_; }
  bool is_float() const { return is_float_; }
  float* floats() const;  // ValueError unless is_float()
  std::uint8_t* bytes() const { return static_cast<std::uint8_t*>(info_.ptr); }

 private:
  pybind11::buffer_info info_;
  std::string name_;
  std::size_t count_;
  bool is_float_;
};

// A writable, C-contiguous Python buffer of int32 ('i') with exactly `count` numbers. Throws as Rows does.
class Labels {
 public:
  Labels(const pybind11::buffer& buffer, std::size_t count);

  std::int32_t* numbers() const { return static_cast<std::int32_t*>(info_.ptr); }

 private:
  pybind11::buffer_info info_;
};

// ValueError unless both have the same number of rows.
void require_same_count(std::size_t expected, std::size_t found, const std::string& name);

// Run `work(poll)` without the GIL, and have it back afterwards, whatever the work threw. The poll
// honours Ctrl-C (and any other signal handler that raises): the pending Python exception is thrown
// once the work has stopped. When the interpreter ends under a daemon thread, the work stops too.
void without_gil(const std::function<void(const Poll& poll)>& work);

}  // namespace digitvae::bindings
