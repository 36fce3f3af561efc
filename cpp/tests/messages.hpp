// Messages of ONNX, written field by field.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace digitvae::testing {

inline std::string varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80U);
  return bytes + static_cast<char>(value);
}

// Fields of Protocol Buffers: a number, bytes, and numbers of 32 and 64 bits.
inline std::string number_field(std::uint64_t number, std::uint64_t value) {
  return varint(number << 3) + varint(value);
}
inline std::string field(std::uint64_t number, const std::string& bytes) {
  return varint(number << 3 | 2) + varint(bytes.size()) + bytes;
}
inline std::string fixed32_field(std::uint64_t number) { return varint(number << 3 | 5) + std::string(4, '\0'); }
inline std::string fixed64_field(std::uint64_t number) { return varint(number << 3 | 1) + std::string(8, '\0'); }

inline std::string node(const std::string& op_type, const std::vector<std::string>& inputs, const std::string& output,
                        const std::string& rest = "") {
  std::string message;
  for (const std::string& input : inputs) message += field(1, input);
  return message + field(2, output) + field(4, op_type) + rest;
}

inline std::string model_of(const std::vector<std::string>& nodes, const std::string& rest = "") {
  std::string graph;
  for (const std::string& message : nodes) graph += field(1, message);
  return field(7, graph + rest);
}

}  // namespace digitvae::testing
