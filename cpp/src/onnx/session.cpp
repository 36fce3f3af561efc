#include "onnx/session.hpp"

#include <onnxruntime_c_api.h>

#include <algorithm>
#include <utility>

#include "base/error.hpp"
#include "onnx/stop.hpp"

namespace digitvae {
namespace {

using Clock = std::chrono::steady_clock;

std::string type_name(ONNXTensorElementDataType type) {
  switch (type) {
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT:
      return "float32";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE:
      return "float64";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16:
      return "float16";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32:
      return "int32";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64:
      return "int64";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED:
      return "not a tensor";
    default:
      return "element type " + std::to_string(static_cast<int>(type));
  }
}

// Parallelism comes from our own workers, each with its own tiles: one thread per run, no pool,
// which also means that no thread is lost in a fork.
void set_options(const Runtime& runtime, OrtSessionOptions* options) {
  const OrtApi& api = runtime.api();
  const char* const doing = "setting session options";
  runtime.check(api.SetIntraOpNumThreads(options, 1), doing);
  runtime.check(api.SetInterOpNumThreads(options, 1), doing);
  runtime.check(api.SetSessionExecutionMode(options, ORT_SEQUENTIAL), doing);
  runtime.check(api.SetSessionGraphOptimizationLevel(options, ORT_ENABLE_ALL), doing);
}

}  // namespace

Session::Session(std::shared_ptr<const Runtime> runtime, std::string_view model, const Operators* operators)
    : runtime_(std::move(runtime)),
      operators_(nullptr, {runtime_->api().ReleaseCustomOpDomain}),
      session_(nullptr, {runtime_->api().ReleaseSession}),
      memory_(nullptr, {runtime_->api().ReleaseMemoryInfo}) {
  const InRuntime inside;
  const OrtApi& api = runtime_->api();
  OrtSessionOptions* made = nullptr;
  runtime_->check(api.CreateSessionOptions(&made), "creating session options");
  const OwnedOfRuntime<OrtSessionOptions> options(made, {api.ReleaseSessionOptions});
  set_options(*runtime_, options.get());
  if (operators != nullptr) {
    const char* const doing = "adding operators";
    OrtCustomOpDomain* domain = nullptr;
    runtime_->check(api.CreateCustomOpDomain(operators->domain, &domain), doing);
    operators_.reset(domain);
    runtime_->check(api.CustomOpDomain_Add(domain, operators->op), doing);
    runtime_->check(api.AddCustomOpDomain(options.get(), domain), doing);
  }
  OrtSession* session = nullptr;
  OrtStatus* const status =
      api.CreateSessionFromArray(&runtime_->env(), model.data(), model.size(), options.get(), &session);
  session_.reset(session);
  const std::string failure = runtime_->message_of(status);
  if (!failure.empty()) {
    throw ModelError("ONNX Runtime " + runtime_->version() + " cannot load the model (" + std::to_string(model.size()) +
                     " bytes): " + failure);
  }
  OrtMemoryInfo* memory = nullptr;
  runtime_->check(api.CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory), "describing CPU memory");
  memory_.reset(memory);
  inputs_ = describe(true);
  outputs_ = describe(false);
  for (const TensorSpec& input : inputs_) input_names_.push_back(input.name.c_str());
  for (const TensorSpec& output : outputs_) output_names_.push_back(output.name.c_str());
}

Session::~Session() = default;

std::vector<TensorSpec> Session::describe(bool inputs) const {
  const OrtApi& api = runtime_->api();
  const char* const doing = "reading the model's interface";
  OrtAllocator* allocator = nullptr;
  runtime_->check(api.GetAllocatorWithDefaultOptions(&allocator), doing);
  std::size_t count = 0;
  runtime_->check(
      inputs ? api.SessionGetInputCount(session_.get(), &count) : api.SessionGetOutputCount(session_.get(), &count),
      doing);
  const auto give_back = [&](char* text) {
    OrtStatus* const status = api.AllocatorFree(allocator, text);
    if (status != nullptr) api.ReleaseStatus(status);
  };
  std::vector<TensorSpec> specs;
  for (std::size_t i = 0; i < count; ++i) {
    char* name = nullptr;
    runtime_->check(inputs ? api.SessionGetInputName(session_.get(), i, allocator, &name)
                           : api.SessionGetOutputName(session_.get(), i, allocator, &name),
                    doing);
    const std::unique_ptr<char, decltype(give_back)> owned_name(name, give_back);
    OrtTypeInfo* found = nullptr;
    runtime_->check(inputs ? api.SessionGetInputTypeInfo(session_.get(), i, &found)
                           : api.SessionGetOutputTypeInfo(session_.get(), i, &found),
                    doing);
    const OwnedOfRuntime<OrtTypeInfo> info(found, {api.ReleaseTypeInfo});
    const OrtTensorTypeAndShapeInfo* tensor = nullptr;  // owned by `info`
    runtime_->check(api.CastTypeInfoToTensorInfo(info.get(), &tensor), doing);
    ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    std::vector<std::int64_t> shape;
    if (tensor != nullptr) {
      std::size_t rank = 0;
      runtime_->check(api.GetTensorElementType(tensor, &type), doing);
      runtime_->check(api.GetDimensionsCount(tensor, &rank), doing);
      shape.resize(rank);
      runtime_->check(api.GetDimensions(tensor, shape.data(), rank), doing);
    }
    specs.push_back({name, type_name(type), std::move(shape)});
  }
  return specs;
}

Session::Tensor::Tensor(const Session& session, float* data, std::size_t rows, std::size_t columns)
    : Tensor(session, data, rows * columns * sizeof *data, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, {rows, columns}) {}

Session::Tensor::Tensor(const Session& session, float* data, std::size_t rows)
    : Tensor(session, data, rows * sizeof *data, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, {rows}) {}

Session::Tensor::Tensor(const Session& session, std::int64_t* data, std::size_t rows)
    : Tensor(session, data, rows * sizeof *data, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64, {rows}) {}

Session::Tensor::Tensor(const Session& session, void* data, std::size_t bytes, int type,
                        std::initializer_list<std::size_t> dims)
    : runtime_(*session.runtime_), value_(nullptr, {runtime_.api().ReleaseValue}), rows_(*dims.begin()) {
  std::array<std::int64_t, 2> shape{};
  std::transform(dims.begin(), dims.end(), shape.begin(), [](std::size_t n) { return static_cast<std::int64_t>(n); });
  const InRuntime inside;
  OrtValue* value = nullptr;
  runtime_.check(
      runtime_.api().CreateTensorWithDataAsOrtValue(session.memory_.get(), data, bytes, shape.data(), dims.size(),
                                                    static_cast<ONNXTensorElementDataType>(type), &value),
      "wrapping a tile");
  value_.reset(value);
}

Session::Tensor::~Tensor() = default;

void Session::run(const Tensor* const* inputs, std::size_t input_count, const Tensor* const* outputs,
                  std::size_t output_count) const {
  constexpr std::size_t kMax = 4;
  if (input_count != inputs_.size() || output_count != outputs_.size() || input_count > kMax || output_count > kMax) {
    throw InvalidArgument("wrong number of inputs or outputs");
  }
  std::array<const OrtValue*, kMax> input_values{};
  std::array<OrtValue*, kMax> output_values{};
  for (std::size_t i = 0; i < input_count; ++i) input_values[i] = inputs[i]->get();
  for (std::size_t i = 0; i < output_count; ++i) output_values[i] = outputs[i]->get();
  const InRuntime inside;
  const Stop::Run run(Stop::of_this_thread(), *runtime_);
  const bool is_timed = !is_quick();
  const auto begin = is_timed ? Clock::now() : Clock::time_point();
  OrtStatus* const status = runtime_->api().Run(session_.get(), run.options(), input_names_.data(), input_values.data(),
                                                input_count, output_names_.data(), output_count, output_values.data());
  if (status != nullptr && run.is_stopped()) {
    runtime_->api().ReleaseStatus(status);
    throw Cancelled();
  }
  runtime_->check(status, "running the model");
  if (is_timed && Clock::now() - begin <= static_cast<std::int64_t>(inputs[0]->rows()) * kQuickRow) is_quick_ = true;
}

}  // namespace digitvae
