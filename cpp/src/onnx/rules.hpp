// What the messages of ONNX may hold (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, IR 14), as tables for the
// reader. When ONNX has a new field, it is added here; until then, files with it are refused.
#pragma once

#include <cstdint>

#include "onnx/numbers.hpp"

namespace digitvae::onnx {

enum class Times : std::uint8_t { kOnce, kMany };

// How the values of a field stand in a file. Lists of numbers may come one by one, or packed into one field.
enum class Kind : std::uint8_t { kNumber, kFloat, kBytes, kNumbers, kFloats, kDoubles };

enum class Refused : std::uint8_t { kNever, kUnlessAny, kAlways };

enum class Reason : std::uint8_t {
  kNone,
  kExternal,
  kSegments,
  kTraining,
  kFunctions,
  kGraphs,
  kSparse,
  kDevices,
  kTypes,
  kStrings
};

inline const char* text_of(Reason reason) {
  switch (reason) {
    case Reason::kExternal:
      return "keeps values outside of the file, and digitvae reads models that are one file";
    case Reason::kSegments:
      return "holds a part of a tensor only";
    case Reason::kTraining:
      return "holds training steps";
    case Reason::kFunctions:
      return "defines functions of its own";
    case Reason::kGraphs:
      return "holds a graph within a node";
    case Reason::kSparse:
      return "holds sparse values";
    case Reason::kDevices:
      return "says which devices compute it";
    case Reason::kTypes:
      return "holds types as attributes";
    case Reason::kStrings:
      return "holds strings as values";
    case Reason::kNone:
      break;
  }
  return "";
}

// One field of a message: whatever else a file holds is refused.
struct Rule {
  std::uint8_t number;
  Kind kind;
  Times times;
  Refused refused = Refused::kNever;
  Reason reason = Reason::kNone;
};

inline constexpr Rule kModelRules[] = {
    {1, Kind::kNumber, Times::kOnce},
    {2, Kind::kBytes, Times::kOnce},
    {3, Kind::kBytes, Times::kOnce},
    {4, Kind::kBytes, Times::kOnce},
    {5, Kind::kNumber, Times::kOnce},
    {6, Kind::kBytes, Times::kOnce},
    {kModelGraph, Kind::kBytes, Times::kOnce},
    {kModelOpsetImport, Kind::kBytes, Times::kMany},
    {kModelMetadata, Kind::kBytes, Times::kMany},
    {20, Kind::kBytes, Times::kMany, Refused::kAlways, Reason::kTraining},
    {kModelFunction, Kind::kBytes, Times::kMany, Refused::kUnlessAny, Reason::kFunctions},
    {26, Kind::kBytes, Times::kMany, Refused::kUnlessAny, Reason::kDevices},
};

inline constexpr Rule kGraphRules[] = {
    {kGraphNode, Kind::kBytes, Times::kMany},
    {2, Kind::kBytes, Times::kOnce},
    {kGraphInitializer, Kind::kBytes, Times::kMany},
    {10, Kind::kBytes, Times::kOnce},
    {kGraphInput, Kind::kBytes, Times::kMany},
    {12, Kind::kBytes, Times::kMany},
    {13, Kind::kBytes, Times::kMany},
    {14, Kind::kBytes, Times::kMany},
    {kGraphSparseInitializer, Kind::kBytes, Times::kMany, Refused::kUnlessAny, Reason::kSparse},
    {16, Kind::kBytes, Times::kMany},
};

inline constexpr Rule kNodeRules[] = {
    {kNodeInput, Kind::kBytes, Times::kMany},
    {kNodeOutput, Kind::kBytes, Times::kMany},
    {3, Kind::kBytes, Times::kOnce},
    {kNodeOpType, Kind::kBytes, Times::kOnce},
    {kNodeAttribute, Kind::kBytes, Times::kMany},
    {6, Kind::kBytes, Times::kOnce},
    {kNodeDomain, Kind::kBytes, Times::kOnce},
    {8, Kind::kBytes, Times::kOnce, Refused::kUnlessAny, Reason::kFunctions},
    {9, Kind::kBytes, Times::kMany},
    {10, Kind::kBytes, Times::kMany, Refused::kUnlessAny, Reason::kDevices},
};

inline constexpr Rule kAttributeRules[] = {
    {kAttributeName, Kind::kBytes, Times::kOnce},
    {kAttributeFloat, Kind::kFloat, Times::kOnce},
    {kAttributeInt, Kind::kNumber, Times::kOnce},
    {4, Kind::kBytes, Times::kOnce},
    {kAttributeTensor, Kind::kBytes, Times::kOnce},
    {kAttributeGraph, Kind::kBytes, Times::kOnce, Refused::kUnlessAny, Reason::kGraphs},
    {7, Kind::kFloats, Times::kMany},
    {8, Kind::kNumbers, Times::kMany},
    {9, Kind::kBytes, Times::kMany},
    {kAttributeTensors, Kind::kBytes, Times::kMany},
    {kAttributeGraphs, Kind::kBytes, Times::kMany, Refused::kUnlessAny, Reason::kGraphs},
    {kAttributeDoc, Kind::kBytes, Times::kOnce},
    {14, Kind::kBytes, Times::kOnce, Refused::kUnlessAny, Reason::kTypes},
    {15, Kind::kBytes, Times::kMany, Refused::kUnlessAny, Reason::kTypes},
    {kAttributeType, Kind::kNumber, Times::kOnce},
    {21, Kind::kBytes, Times::kOnce, Refused::kUnlessAny, Reason::kFunctions},
    {kAttributeSparseTensor, Kind::kBytes, Times::kOnce, Refused::kUnlessAny, Reason::kSparse},
    {kAttributeSparseTensors, Kind::kBytes, Times::kMany, Refused::kUnlessAny, Reason::kSparse},
};

inline constexpr Rule kTensorRules[] = {
    {kTensorDims, Kind::kNumbers, Times::kMany},
    {kTensorType, Kind::kNumber, Times::kOnce},
    {3, Kind::kBytes, Times::kOnce, Refused::kAlways, Reason::kSegments},
    {4, Kind::kFloats, Times::kMany},
    {5, Kind::kNumbers, Times::kMany},
    {6, Kind::kBytes, Times::kMany, Refused::kUnlessAny, Reason::kStrings},
    {7, Kind::kNumbers, Times::kMany},
    {kTensorName, Kind::kBytes, Times::kOnce},
    {kTensorRaw, Kind::kBytes, Times::kOnce},
    {10, Kind::kDoubles, Times::kMany},
    {11, Kind::kNumbers, Times::kMany},
    {kTensorDoc, Kind::kBytes, Times::kOnce},
    {13, Kind::kBytes, Times::kMany, Refused::kAlways, Reason::kExternal},
    {kTensorLocation, Kind::kNumber, Times::kOnce},
    {kTensorMetadata, Kind::kBytes, Times::kMany},
};

inline constexpr Rule kSparseRules[] = {
    {kSparseValues, Kind::kBytes, Times::kOnce},
    {kSparseIndices, Kind::kBytes, Times::kOnce},
    {3, Kind::kNumbers, Times::kMany},
};

inline constexpr Rule kFunctionRules[] = {
    {1, Kind::kBytes, Times::kOnce},
    {4, Kind::kBytes, Times::kMany},
    {5, Kind::kBytes, Times::kMany},
    {6, Kind::kBytes, Times::kMany},
    {kFunctionNode, Kind::kBytes, Times::kMany},
    {8, Kind::kBytes, Times::kOnce},
    {9, Kind::kBytes, Times::kMany},
    {10, Kind::kBytes, Times::kOnce},
    {kFunctionAttribute, Kind::kBytes, Times::kMany},
    {12, Kind::kBytes, Times::kMany},
    {13, Kind::kBytes, Times::kOnce},
    {14, Kind::kBytes, Times::kMany},
};

inline constexpr Rule kEntryRules[] = {
    {kEntryKey, Kind::kBytes, Times::kOnce},
    {kEntryValue, Kind::kBytes, Times::kOnce},
};

inline constexpr Rule kValueRules[] = {
    {kValueName, Kind::kBytes, Times::kOnce},
    {2, Kind::kBytes, Times::kOnce},
    {3, Kind::kBytes, Times::kOnce},
    {4, Kind::kBytes, Times::kMany},
};

}  // namespace digitvae::onnx
