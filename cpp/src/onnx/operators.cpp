#include <string>

#include "onnx/model_file.hpp"

namespace digitvae::onnx {
namespace {

// Names with a space on either side: a table of strings would take more of the library than all that reads it. None
// runs another graph, loops, draws random numbers, or reads anything but its inputs.
constexpr std::string_view kBoth =
    " Abs Add And Cast CastLike Ceil Clip Concat Constant ConstantOfShape Div Equal Exp Expand Flatten "
    "Floor Gather Gemm Greater GreaterOrEqual Identity Less LessOrEqual Log MatMul Max Mean Min Mod Mul "
    "Neg Not Or Pow Range Reciprocal ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum Reshape Round "
    "Shape Sign Size Slice Softmax Split Sqrt Squeeze Sub Sum Tile Transpose Unsqueeze Where Xor ";

constexpr std::string_view kNetworkOnly =
    " AveragePool BatchNormalization Celu Conv ConvTranspose Cos DepthToSpace Elu Erf Gelu "
    "GlobalAveragePool GlobalMaxPool GroupNormalization HardSigmoid HardSwish InstanceNormalization LRN "
    "LayerNormalization LeakyRelu LogSoftmax LpNormalization MaxPool MeanVarianceNormalization Mish PRelu "
    "Pad RMSNormalization ReduceL2 Relu Resize Selu Sigmoid Sin Softplus Softsign SpaceToDepth Swish Tanh "
    "ThresholdedRelu Upsample ";

constexpr std::string_view kMixtureOnly = " ArgMax ArgMin CumSum GatherElements GatherND OneHot ";

bool contains(std::string_view names, std::string_view name) {
  return name.find(' ') == std::string_view::npos &&
         names.find(' ' + std::string(name) + ' ') != std::string_view::npos;
}

}  // namespace

bool may_use(Role role, std::string_view op_type) {
  if (role == Role::kAny || contains(kBoth, op_type)) return true;
  return contains(role == Role::kNetwork ? kNetworkOnly : kMixtureOnly, op_type);
}

}  // namespace digitvae::onnx
