// What the messages of ONNX may hold (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, IR 14), as tables for the
// reader. When ONNX has a new field, it is added here; until then, files with it are refused.
#pragma once

#include <cstdint>

#include "onnx/fields.hpp"

namespace digitvae::onnx {

// Numbers of the fields that are used by name.
enum ModelField : std::uint64_t { kModelGraph = 7, kModelOpsetImport = 8, kModelMetadata = 14, kModelFunction = 25 };
enum GraphField : std::uint64_t { kGraphNode = 1, kGraphInitializer = 5, kGraphInput = 11, kGraphSparse = 15 };
enum NodeField : std::uint64_t {
  kNodeInput = 1,
  kNodeOutput = 2,
  kNodeOpType = 4,
  kNodeAttribute = 5,
  kNodeDomain = 7
};
enum AttributeField : std::uint64_t {
  kAttributeName = 1,
  kAttributeFloat = 2,
  kAttributeInt = 3,
  kAttributeTensor = 5,
  kAttributeGraph = 6,
  kAttributeTensors = 10,
  kAttributeGraphs = 11,
  kAttributeDoc = 13,
  kAttributeType = 20,
  kAttributeSparseTensor = 22,
  kAttributeSparseTensors = 23
};
enum TensorField : std::uint64_t {
  kTensorDims = 1,
  kTensorType = 2,
  kTensorName = 8,
  kTensorRaw = 9,
  kTensorDoc = 12,
  kTensorLocation = 14,
  kTensorMetadata = 16
};
enum SparseField : std::uint64_t { kSparseValues = 1, kSparseIndices = 2 };
enum FunctionField : std::uint64_t { kFunctionNode = 7, kFunctionAttribute = 11 };
enum ValueField : std::uint64_t { kValueName = 1 };
enum EntryField : std::uint64_t { kEntryKey = 1, kEntryValue = 2 };
enum OpsetField : std::uint64_t { kOpsetDomain = 1, kOpsetVersion = 2 };

// How the values of a field stand in a file: the wire types that it may have, as bits.
enum Kind : std::uint8_t {
  kNumber = 1U << kVarint,
  kFloat = 1U << kFixed32,
  kString = 1U << kBytes,  // or a message
  // As often as the file likes. Numbers may come one by one, or packed into one field.
  kMany = 1U << 7,
  kStrings = kMany | kString,
  kNumbers = kMany | kString | kNumber,
  kFloats = kMany | kString | kFloat,
  kDoubles = kMany | kString | 1U << kFixed64
};

// Why a field is refused: of models of every role, or, from kFunctions on, of all but kAny.
enum Reason : std::uint8_t {
  kAllowed,
  kExternal,
  kSegments,
  kTraining,
  kFunctions,
  kGraphs,
  kSparse,
  kDevices,
  kTypes,
  kTexts
};

// Not pointers, of which each would be one more for the loader to set.
inline constexpr char kReasons[][80] = {
    "",
    "keeps values outside of the file, and digitvae reads models that are one file",
    "holds a part of a tensor only",
    "holds training steps",
    "defines functions of its own",
    "holds a graph within a node",
    "holds sparse values",
    "says which devices compute it",
    "holds types as attributes",
    "holds strings as values",
};
static_assert(sizeof kReasons == (kTexts + 1) * sizeof *kReasons);

// Fields of a message, a bit for each number, and what they may hold: whatever else a file has is refused.
struct Rule {
  std::uint32_t fields;
  Kind kind;
  Reason reason = kAllowed;
};

template <typename... Numbers>
constexpr std::uint32_t fields(Numbers... numbers) {
  return ((std::uint32_t{1} << numbers) | ...);
}

inline constexpr Rule kModelRules[] = {
    {fields(1, 5), kNumber},
    {fields(2, 3, 4, 6, kModelGraph), kString},
    {fields(kModelOpsetImport, kModelMetadata), kStrings},
    {fields(20), kStrings, kTraining},
    {fields(kModelFunction), kStrings, kFunctions},
    {fields(26), kStrings, kDevices},
};

inline constexpr Rule kGraphRules[] = {
    {fields(2, 10), kString},
    {fields(kGraphNode, kGraphInitializer, kGraphInput, 12, 13, 14, 16), kStrings},
    {fields(kGraphSparse), kStrings, kSparse},
};

inline constexpr Rule kNodeRules[] = {
    {fields(3, kNodeOpType, 6, kNodeDomain), kString},
    {fields(kNodeInput, kNodeOutput, kNodeAttribute, 9), kStrings},
    {fields(8), kString, kFunctions},
    {fields(10), kStrings, kDevices},
};

inline constexpr Rule kAttributeRules[] = {
    {fields(kAttributeName, 4, kAttributeTensor, kAttributeDoc), kString},
    {fields(kAttributeFloat), kFloat},
    {fields(kAttributeInt, kAttributeType), kNumber},
    {fields(7), kFloats},
    {fields(8), kNumbers},
    {fields(9, kAttributeTensors), kStrings},
    {fields(kAttributeGraph), kString, kGraphs},
    {fields(kAttributeGraphs), kStrings, kGraphs},
    {fields(14), kString, kTypes},
    {fields(15), kStrings, kTypes},
    {fields(21), kString, kFunctions},
    {fields(kAttributeSparseTensor), kString, kSparse},
    {fields(kAttributeSparseTensors), kStrings, kSparse},
};

inline constexpr Rule kTensorRules[] = {
    {fields(kTensorDims, 5, 7, 11), kNumbers},
    {fields(kTensorType, kTensorLocation), kNumber},
    {fields(4), kFloats},
    {fields(10), kDoubles},
    {fields(kTensorName, kTensorRaw, kTensorDoc), kString},
    {fields(kTensorMetadata), kStrings},
    {fields(3), kString, kSegments},
    {fields(6), kStrings, kTexts},
    {fields(13), kStrings, kExternal},
};

inline constexpr Rule kSparseRules[] = {{fields(kSparseValues, kSparseIndices), kString}, {fields(3), kNumbers}};

inline constexpr Rule kFunctionRules[] = {
    {fields(1, 8, 10, 13), kString},
    {fields(4, 5, 6, kFunctionNode, 9, kFunctionAttribute, 12, 14), kStrings},
};

inline constexpr Rule kEntryRules[] = {{fields(kEntryKey, kEntryValue), kString}};

inline constexpr Rule kValueRules[] = {{fields(kValueName, 2, 3), kString}, {fields(4), kStrings}};

}  // namespace digitvae::onnx
