#include "onnx/fields.hpp"

namespace digitvae::onnx {

bool take_varint(std::string_view& rest, std::uint64_t& value) {
  value = 0;
  for (unsigned shift = 0; shift < 64 && !rest.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(rest.front());
    rest.remove_prefix(1);
    value |= std::uint64_t{byte & 0x7FU} << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

bool Fields::take_fixed(std::size_t size, std::uint64_t& value) {
  if (rest_.size() < size) return false;
  value = 0;
  for (std::size_t i = 0; i < size; ++i) {
    value |= std::uint64_t{static_cast<unsigned char>(rest_[i])} << (8 * i);
  }
  rest_.remove_prefix(size);
  return true;
}

bool Fields::next(Field& field) {
  if (rest_.empty()) return false;
  const std::string_view start = rest_;
  std::uint64_t key = 0;
  bool taken = take_varint(rest_, key);
  field = {key >> 3, key & 7, 0, {}, {}};
  if (taken && field.wire_type == kVarint) {
    taken = take_varint(rest_, field.value);
  } else if (taken && field.wire_type == kFixed64) {
    taken = take_fixed(8, field.value);
  } else if (taken && field.wire_type == kFixed32) {
    taken = take_fixed(4, field.value);
  } else if (taken && field.wire_type == kBytes) {
    std::uint64_t length = 0;
    taken = take_varint(rest_, length) && length <= rest_.size();
    if (taken) {
      field.bytes = rest_.substr(0, static_cast<std::size_t>(length));
      rest_.remove_prefix(field.bytes.size());
    }
  } else {
    taken = false;
  }
  if (!taken) {
    failed_ = true;
    rest_ = {};
    return false;
  }
  field.whole = start.substr(0, start.size() - rest_.size());
  return true;
}

}  // namespace digitvae::onnx
