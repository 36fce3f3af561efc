// Numbers of fields in the messages of ONNX (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto): those that are
// used by name.
#pragma once

#include <cstdint>

namespace digitvae::onnx {

inline constexpr std::uint64_t kModelGraph = 7;
inline constexpr std::uint64_t kModelOpsetImport = 8;
inline constexpr std::uint64_t kModelMetadata = 14;
inline constexpr std::uint64_t kModelFunction = 25;
inline constexpr std::uint64_t kGraphNode = 1;
inline constexpr std::uint64_t kGraphInitializer = 5;
inline constexpr std::uint64_t kGraphInput = 11;
inline constexpr std::uint64_t kGraphSparseInitializer = 15;
inline constexpr std::uint64_t kNodeInput = 1;
inline constexpr std::uint64_t kNodeOutput = 2;
inline constexpr std::uint64_t kNodeOpType = 4;
inline constexpr std::uint64_t kNodeAttribute = 5;
inline constexpr std::uint64_t kNodeDomain = 7;
inline constexpr std::uint64_t kAttributeName = 1;
inline constexpr std::uint64_t kAttributeFloat = 2;
inline constexpr std::uint64_t kAttributeInt = 3;
inline constexpr std::uint64_t kAttributeTensor = 5;
inline constexpr std::uint64_t kAttributeGraph = 6;
inline constexpr std::uint64_t kAttributeTensors = 10;
inline constexpr std::uint64_t kAttributeGraphs = 11;
inline constexpr std::uint64_t kAttributeDoc = 13;
inline constexpr std::uint64_t kAttributeType = 20;
inline constexpr std::uint64_t kAttributeSparseTensor = 22;
inline constexpr std::uint64_t kAttributeSparseTensors = 23;
inline constexpr std::uint64_t kTensorDims = 1;
inline constexpr std::uint64_t kTensorType = 2;
inline constexpr std::uint64_t kTensorName = 8;
inline constexpr std::uint64_t kTensorRaw = 9;
inline constexpr std::uint64_t kTensorDoc = 12;
inline constexpr std::uint64_t kTensorLocation = 14;
inline constexpr std::uint64_t kTensorMetadata = 16;
inline constexpr std::uint64_t kSparseValues = 1;
inline constexpr std::uint64_t kSparseIndices = 2;
inline constexpr std::uint64_t kFunctionNode = 7;
inline constexpr std::uint64_t kFunctionAttribute = 11;
inline constexpr std::uint64_t kValueName = 1;
inline constexpr std::uint64_t kEntryKey = 1;
inline constexpr std::uint64_t kEntryValue = 2;
inline constexpr std::uint64_t kOpsetDomain = 1;
inline constexpr std::uint64_t kOpsetVersion = 2;

}  // namespace digitvae::onnx
