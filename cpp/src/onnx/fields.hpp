// Protocol Buffers as they lie in a file: a message is a list of fields, each a key (number · 8 + wire type) and a
// value (https://protobuf.dev/programming-guides/encoding/).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace digitvae::onnx {

enum WireType : std::uint64_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

struct Field {
  std::uint64_t number = 0;
  std::uint64_t wire_type = 0;
  std::uint64_t value = 0;  // of a number
  std::string_view bytes;   // of a string or message
  std::string_view whole;   // key and value as they stand
};

// Takes a varint from the front of `rest`; false if there is none, or it is longer than 64 bits.
bool take_varint(std::string_view& rest, std::uint64_t& value);

// The fields of a message, one after the other. failed() tells that the bytes are not a message.
class Fields {
 public:
  explicit Fields(std::string_view message) : rest_(message) {}

  bool next(Field& field);
  bool failed() const { return failed_; }

 private:
  bool take_fixed(std::size_t size, std::uint64_t& value);

  std::string_view rest_;
  bool failed_ = false;
};

}  // namespace digitvae::onnx
