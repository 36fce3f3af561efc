#include "runtime/session.hpp"

#include <onnxruntime_c_api.h>

#include <array>
#include <utility>

#include "error.hpp"

namespace digitvae {
namespace {

// unique_ptr over the Release… functions of the API, which live in a table found at run time.
template <typename T>
class Owned {
 public:
  using Release = void(ORT_API_CALL*)(T*);
  explicit Owned(Release release) : release_(release) {}
  ~Owned() {
    if (value_ != nullptr) release_(value_);
  }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  T** out() { return &value_; }
  T* get() const { return value_; }

 private:
  Release release_;
  T* value_ = nullptr;
};

class AllocatedString {
 public:
  AllocatedString(const Runtime& runtime, OrtAllocator* allocator) : runtime_(runtime), allocator_(allocator) {}
  ~AllocatedString() {
    if (value_ != nullptr) runtime_.message_of(runtime_.api().AllocatorFree(allocator_, value_));
  }
  AllocatedString(const AllocatedString&) = delete;
  AllocatedString& operator=(const AllocatedString&) = delete;
  char** out() { return &value_; }
  const char* get() const { return value_; }

 private:
  const Runtime& runtime_;
  OrtAllocator* allocator_;
  char* value_ = nullptr;
};

}  // namespace

Session::Session(std::shared_ptr<const Runtime> runtime, const void* model, std::size_t bytes)
    : runtime_(std::move(runtime)) {
  const OrtApi& api = runtime_->api();
  Owned<OrtSessionOptions> options(api.ReleaseSessionOptions);
  runtime_->check(api.CreateSessionOptions(options.out()), "creating session options");
  // Parallelism comes from our own workers, each with its own tiles: one thread per run, no pool,
  // which also means nothing is lost in a fork.
  runtime_->check(api.SetIntraOpNumThreads(options.get(), 1), "setting session options");
  runtime_->check(api.SetInterOpNumThreads(options.get(), 1), "setting session options");
  runtime_->check(api.SetSessionExecutionMode(options.get(), ORT_SEQUENTIAL), "setting session options");
  runtime_->check(api.SetSessionGraphOptimizationLevel(options.get(), ORT_ENABLE_ALL), "setting session options");
  // A model is one file: weights elsewhere would be read from wherever the process happens to be.
  runtime_->check(
      api.AddSessionConfigEntry(options.get(), "session.model_external_initializers_file_folder_path", "/dev/null"),
      "setting session options");
  const std::string failure =
      runtime_->message_of(api.CreateSessionFromArray(&runtime_->env(), model, bytes, options.get(), &session_));
  if (!failure.empty()) {
    throw ModelError("ONNX Runtime " + runtime_->version() + " cannot load the model (" + std::to_string(bytes) +
                     " bytes): " + failure);
  }
  try {
    runtime_->check(api.CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory_), "describing CPU memory");
    inputs_ = describe(true);
    outputs_ = describe(false);
    for (const TensorSpec& output : outputs_) output_names_.push_back(output.name.c_str());
  } catch (...) {
    if (memory_ != nullptr) api.ReleaseMemoryInfo(memory_);
    api.ReleaseSession(session_);
    throw;
  }
}

Session::~Session() {
  runtime_->api().ReleaseMemoryInfo(memory_);
  runtime_->api().ReleaseSession(session_);
}

std::vector<TensorSpec> Session::describe(bool inputs) const {
  const OrtApi& api = runtime_->api();
  const std::string doing = "reading the model's interface";
  OrtAllocator* allocator = nullptr;
  runtime_->check(api.GetAllocatorWithDefaultOptions(&allocator), doing);
  std::size_t count = 0;
  runtime_->check(inputs ? api.SessionGetInputCount(session_, &count) : api.SessionGetOutputCount(session_, &count),
                  doing);
  std::vector<TensorSpec> specs;
  for (std::size_t i = 0; i < count; ++i) {
    AllocatedString name(*runtime_, allocator);
    runtime_->check(inputs ? api.SessionGetInputName(session_, i, allocator, name.out())
                           : api.SessionGetOutputName(session_, i, allocator, name.out()),
                    doing);
    Owned<OrtTypeInfo> type(api.ReleaseTypeInfo);
    runtime_->check(inputs ? api.SessionGetInputTypeInfo(session_, i, type.out())
                           : api.SessionGetOutputTypeInfo(session_, i, type.out()),
                    doing);
    const OrtTensorTypeAndShapeInfo* tensor = nullptr;  // owned by `type`
    runtime_->check(api.CastTypeInfoToTensorInfo(type.get(), &tensor), doing);
    ONNXTensorElementDataType element = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    std::size_t rank = 0;
    std::array<std::int64_t, 2> shape{};
    if (tensor != nullptr) {
      runtime_->check(api.GetTensorElementType(tensor, &element), doing);
      runtime_->check(api.GetDimensionsCount(tensor, &rank), doing);
      if (rank == 2) runtime_->check(api.GetDimensions(tensor, shape.data(), rank), doing);
    }
    if (element != ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT || rank != 2 || shape[0] != -1 || shape[1] < 1) {
      throw ModelError(std::string(inputs ? "input" : "output") + " '" + name.get() +
                       "' of the model is not float32 [batch, n] with a dynamic batch");
    }
    specs.push_back({name.get(), static_cast<std::size_t>(shape[1])});
  }
  return specs;
}

std::optional<std::string> Session::metadata(const std::string& key) const {
  const OrtApi& api = runtime_->api();
  const std::string doing = "reading the model's metadata";
  OrtAllocator* allocator = nullptr;
  runtime_->check(api.GetAllocatorWithDefaultOptions(&allocator), doing);
  Owned<OrtModelMetadata> metadata(api.ReleaseModelMetadata);
  runtime_->check(api.SessionGetModelMetadata(session_, metadata.out()), doing);
  AllocatedString value(*runtime_, allocator);
  runtime_->check(api.ModelMetadataLookupCustomMetadataMap(metadata.get(), allocator, key.c_str(), value.out()), doing);
  if (value.get() == nullptr) return std::nullopt;
  return std::string(value.get());
}

Session::Tensor::Tensor(const Session& session, float* data, std::size_t rows, std::size_t columns)
    : runtime_(session.runtime_.get()) {
  const std::array<std::int64_t, 2> shape{static_cast<std::int64_t>(rows), static_cast<std::int64_t>(columns)};
  runtime_->check(runtime_->api().CreateTensorWithDataAsOrtValue(session.memory_, data, rows * columns * sizeof(float),
                                                                 shape.data(), shape.size(),
                                                                 ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &value_),
                  "wrapping a tile");
}

Session::Tensor::~Tensor() {
  if (value_ != nullptr) runtime_->api().ReleaseValue(value_);
}

void Session::run(const Tensor& input, const std::vector<const Tensor*>& outputs) const {
  constexpr std::size_t kMaxOutputs = 4;
  if (outputs.size() != outputs_.size() || outputs.size() > kMaxOutputs)
    throw InvalidArgument("wrong number of outputs");
  const char* const input_name = inputs_.front().name.c_str();
  const OrtValue* const input_value = input.get();
  std::array<OrtValue*, kMaxOutputs> output_values{};
  for (std::size_t i = 0; i < outputs.size(); ++i) output_values[i] = outputs[i]->get();
  runtime_->check(runtime_->api().Run(session_, nullptr, &input_name, &input_value, 1, output_names_.data(),
                                      outputs.size(), output_values.data()),
                  "running the model");
}

}  // namespace digitvae
