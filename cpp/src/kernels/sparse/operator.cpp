#include "kernels/sparse/operator.hpp"

#include <onnxruntime_c_api.h>

#include <climits>
#include <cstring>
#include <exception>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "onnx/library.hpp"

namespace digitvae::sparse {
namespace {

using onnx::Graph;
using onnx::Node;

// Gemm(x, weights, bias) = x · weightsᵀ + bias, nothing else.
bool is_plain_dense_layer(const Node& node) {
  if (!node.is("Gemm") || node.inputs.size() != 3) return false;
  std::uint64_t one = 0;
  const float one_float = 1.0F;
  std::memcpy(&one, &one_float, sizeof one_float);
  std::map<std::string_view, std::uint64_t> settings = {{"alpha", one}, {"beta", one}, {"transA", 0}, {"transB", 0}};
  for (const auto& [name, value] : node.attributes) settings[name] = value;
  return settings == decltype(settings){{"alpha", one}, {"beta", one}, {"transA", 0}, {"transB", 1}};
}

bool has_supported_size(const Graph& graph, const Node& layer) {
  const onnx::Initializer* const weights = graph.initializer(layer.inputs[1]);
  const onnx::Initializer* const bias = graph.initializer(layer.inputs[2]);
  if (weights == nullptr || bias == nullptr) return false;
  if (weights->dims.size() != 2 || bias->dims != std::vector{weights->dims[0]}) return false;
  return Product::supports(static_cast<std::size_t>(weights->dims[1]), static_cast<std::size_t>(weights->dims[0]));
}

// The node to replace; null if there is none.
const Node* find_layer(const Graph& graph) {
  for (const Node& layer : graph.nodes) {
    if (!is_plain_dense_layer(layer) || !has_supported_size(graph, layer)) continue;
    const Node* const before = graph.maker_of(layer.inputs[0]);
    if (before != nullptr && before->is("Relu")) return &layer;
  }
  return nullptr;
}

// ONNX Runtime runs operators of sequential sessions on the thread that called it, and has no way to hand them
// anything else that is of one run only.
thread_local const Product::OnAll* sharing_of_this_thread = nullptr;

// What an exception has to say, as a status for ONNX Runtime: none may cross it.
template <typename Work>
OrtStatus* as_status(const OrtApi& api, const Work& work) noexcept {
  try {
    return work();
  } catch (const std::exception& error) {
    return api.CreateStatus(ORT_RUNTIME_EXCEPTION, error.what());
  }
}

struct Kernel {
  Kernel(const OrtApi& own_api, const float* weights, const float* bias, std::size_t inputs, std::size_t outputs)
      : api(own_api), product(weights, bias, inputs, outputs) {}

  const OrtApi& api;
  Product product;
};

// Passes a failed status on from the function it is used in.
#define DIGITVAE_RETURN_IF_FAILED(expression) \
  do {                                        \
    OrtStatus* const failed = (expression);   \
    if (failed != nullptr) return failed;     \
  } while (false)

struct Shape {
  std::int64_t rows = 0;
  std::int64_t columns = 1;
};

OrtStatus* read_shape(const OrtApi& api, const OrtValue* value, Shape& shape) {
  OrtTensorTypeAndShapeInfo* info = nullptr;
  DIGITVAE_RETURN_IF_FAILED(api.GetTensorTypeAndShape(value, &info));
  const std::unique_ptr<OrtTensorTypeAndShapeInfo, void (*)(OrtTensorTypeAndShapeInfo*)> owned(
      info, api.ReleaseTensorTypeAndShapeInfo);
  std::size_t rank = 0;
  DIGITVAE_RETURN_IF_FAILED(api.GetDimensionsCount(info, &rank));
  std::int64_t dims[2] = {0, 1};
  if (rank > 2) return api.CreateStatus(ORT_INVALID_ARGUMENT, "expected one or two dimensions");
  DIGITVAE_RETURN_IF_FAILED(api.GetDimensions(info, dims, rank));
  shape = {dims[0], dims[1]};
  return nullptr;
}

OrtStatus* constant_input(const OrtApi& api, const OrtKernelInfo* info, std::size_t index, const float** data,
                          Shape& shape) {
  int is_constant = 0;
  const OrtValue* value = nullptr;
  DIGITVAE_RETURN_IF_FAILED(api.KernelInfoGetConstantInput_tensor(info, index, &is_constant, &value));
  if (is_constant == 0) return api.CreateStatus(ORT_INVALID_ARGUMENT, "expected constant weights");
  void* memory = nullptr;
  DIGITVAE_RETURN_IF_FAILED(api.GetTensorMutableData(const_cast<OrtValue*>(value), &memory));  // only read
  *data = static_cast<const float*>(memory);
  return read_shape(api, value, shape);
}

OrtStatus* ORT_API_CALL create_kernel(const OrtCustomOp* /*op*/, const OrtApi* api, const OrtKernelInfo* info,
                                      void** kernel) {
  return as_status(*api, [&]() -> OrtStatus* {
    const float* weights = nullptr;
    const float* bias = nullptr;
    Shape weights_shape;
    Shape bias_shape;
    DIGITVAE_RETURN_IF_FAILED(constant_input(*api, info, 1, &weights, weights_shape));
    DIGITVAE_RETURN_IF_FAILED(constant_input(*api, info, 2, &bias, bias_shape));
    if (bias_shape.rows * bias_shape.columns != weights_shape.rows) {
      return api->CreateStatus(ORT_INVALID_ARGUMENT, "expected one bias for each output");
    }
    *kernel = new Kernel(*api, weights, bias, static_cast<std::size_t>(weights_shape.columns),
                         static_cast<std::size_t>(weights_shape.rows));
    return nullptr;
  });
}

OrtStatus* ORT_API_CALL compute(void* op_kernel, OrtKernelContext* context) {
  const Kernel& kernel = *static_cast<const Kernel*>(op_kernel);
  const OrtApi& api = kernel.api;
  return as_status(api, [&]() -> OrtStatus* {
    const OrtValue* hidden = nullptr;
    DIGITVAE_RETURN_IF_FAILED(api.KernelContext_GetInput(context, 0, &hidden));
    Shape shape;
    DIGITVAE_RETURN_IF_FAILED(read_shape(api, hidden, shape));
    if (shape.columns != static_cast<std::int64_t>(kernel.product.inputs())) {
      return api.CreateStatus(ORT_INVALID_ARGUMENT, "expected as many activations as the weights have inputs");
    }
    const std::int64_t out_dims[] = {shape.rows, static_cast<std::int64_t>(kernel.product.outputs())};
    OrtValue* out = nullptr;
    DIGITVAE_RETURN_IF_FAILED(api.KernelContext_GetOutput(context, 0, out_dims, 2, &out));
    void* hidden_data = nullptr;
    void* out_data = nullptr;
    DIGITVAE_RETURN_IF_FAILED(api.GetTensorMutableData(const_cast<OrtValue*>(hidden), &hidden_data));  // only read
    DIGITVAE_RETURN_IF_FAILED(api.GetTensorMutableData(out, &out_data));
    kernel.product.multiply(static_cast<const float*>(hidden_data), static_cast<std::size_t>(shape.rows),
                            static_cast<float*>(out_data), sharing_of_this_thread);
    return nullptr;
  });
}

#undef DIGITVAE_RETURN_IF_FAILED

OrtCustomOp describe() {
  OrtCustomOp op{};
  op.version = static_cast<std::uint32_t>(kRequiredApi);
  op.GetName = [](const OrtCustomOp*) { return kOperator; };
  op.GetExecutionProviderType = [](const OrtCustomOp*) -> const char* { return nullptr; };  // the processor
  op.GetInputType = [](const OrtCustomOp*, std::size_t) { return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT; };
  op.GetInputTypeCount = [](const OrtCustomOp*) { return std::size_t{3}; };
  op.GetOutputType = [](const OrtCustomOp*, std::size_t) { return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT; };
  op.GetOutputTypeCount = [](const OrtCustomOp*) { return std::size_t{1}; };
  op.KernelDestroy = [](void* kernel) { delete static_cast<Kernel*>(kernel); };
  op.GetInputCharacteristic = [](const OrtCustomOp*, std::size_t) { return INPUT_OUTPUT_REQUIRED; };
  op.GetOutputCharacteristic = [](const OrtCustomOp*, std::size_t) { return INPUT_OUTPUT_REQUIRED; };
  op.GetInputMemoryType = [](const OrtCustomOp*, std::size_t) { return OrtMemTypeDefault; };
  op.GetVariadicInputMinArity = [](const OrtCustomOp*) { return 1; };
  op.GetVariadicInputHomogeneity = [](const OrtCustomOp*) { return 1; };
  op.GetVariadicOutputMinArity = [](const OrtCustomOp*) { return 1; };
  op.GetVariadicOutputHomogeneity = [](const OrtCustomOp*) { return 1; };
  op.CreateKernelV2 = &create_kernel;
  op.KernelComputeV2 = &compute;
  op.GetStartVersion = [](const OrtCustomOp*) { return 1; };
  op.GetEndVersion = [](const OrtCustomOp*) { return INT_MAX; };
  return op;
}

}  // namespace

std::string with_sparse_layer(const onnx::Model& model) {
  const Node* const layer = find_layer(model.graph());
  return layer == nullptr ? std::string() : model.with_operator(*layer, kOperator, kDomain);
}

Sharing::Sharing(const Product::OnAll& on_all) : before_(sharing_of_this_thread) { sharing_of_this_thread = &on_all; }

Sharing::~Sharing() { sharing_of_this_thread = before_; }

Session::Operators operators() {
  static const OrtCustomOp op = describe();
  return {kDomain, &op};
}

}  // namespace digitvae::sparse
