// One ONNX model loaded into ONNX Runtime.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "onnx/library.hpp"
#include "onnx/model_file.hpp"

struct OrtCustomOp;
struct OrtCustomOpDomain;
struct OrtSession;
struct OrtValue;
struct OrtMemoryInfo;

namespace digitvae {

// An input or output, as text: "z float32 [batch, 40]", where `batch` stands for a dynamic first
// dimension. One form serves comparison and messages.
struct TensorSpec {
  std::string name;
  std::string type;                 // "float32", "int64", or what else ONNX Runtime says
  std::vector<std::int64_t> shape;  // −1: dynamic

  bool operator==(const TensorSpec& other) const {
    return name == other.name && type == other.type && shape == other.shape;
  }
};

// Thread-safe once built: many threads may bind and run at the same time.
class Session {
 public:
  // An operator of ours that a model may use: how it is called, and what it does.
  struct Operators {
    const char* domain;
    const OrtCustomOp* op;  // outlives the session
  };

  // Throws ModelError if this ONNX Runtime cannot load the model.
  Session(std::shared_ptr<const Runtime> runtime, const onnx::Model& model)
      : Session(std::move(runtime), model.file(), nullptr) {
    metadata_ = model.metadata();
  }

  // `changed`: what Model::with_operator made of a model.
  Session(std::shared_ptr<const Runtime> runtime, const std::string& changed, const Operators& operators)
      : Session(std::move(runtime), changed, &operators) {}
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const std::shared_ptr<const Runtime>& runtime() const { return runtime_; }
  const std::vector<TensorSpec>& inputs() const { return inputs_; }
  const std::vector<TensorSpec>& outputs() const { return outputs_; }
  const onnx::Metadata& metadata() const { return metadata_; }

  // Whether runs end soon: some run has taken no more than this a row.
  static constexpr std::chrono::microseconds kQuickRow{150};
  bool is_quick() const { return is_quick_.load(std::memory_order_relaxed); }

  // Memory of the caller's seen as a tensor of float32 or int64; must outlive the tensor.
  class Tensor {
   public:
    Tensor(const Session& session, float* data, std::size_t rows, std::size_t columns);
    Tensor(const Session& session, float* data, std::size_t rows);
    Tensor(const Session& session, std::int64_t* data, std::size_t rows);
    ~Tensor();
    Tensor(const Tensor&) = delete;
    Tensor& operator=(const Tensor&) = delete;
    OrtValue* get() const { return value_.get(); }
    std::size_t rows() const { return rows_; }

   private:
    Tensor(const Session& session, void* data, std::size_t bytes, int type, std::initializer_list<std::size_t> dims);

    const Runtime& runtime_;
    OwnedOfRuntime<OrtValue> value_;
    std::size_t rows_;
  };

  // Run with all inputs and all outputs in place. Throws RuntimeLibraryError, and Cancelled if this thread's Stop ended
  // it.
  void run(std::initializer_list<const Tensor*> inputs, std::initializer_list<const Tensor*> outputs) const {
    run(inputs.begin(), inputs.size(), outputs.begin(), outputs.size());
  }
  void run(const Tensor* const* inputs, std::size_t input_count, const Tensor* const* outputs,
           std::size_t output_count) const;

 private:
  Session(std::shared_ptr<const Runtime> runtime, std::string_view model, const Operators* operators);
  std::vector<TensorSpec> describe(bool inputs) const;

  std::shared_ptr<const Runtime> runtime_;
  OwnedOfRuntime<OrtCustomOpDomain> operators_;
  OwnedOfRuntime<OrtSession> session_;
  OwnedOfRuntime<OrtMemoryInfo> memory_;
  std::vector<TensorSpec> inputs_;
  std::vector<TensorSpec> outputs_;
  std::vector<const char*> input_names_;
  std::vector<const char*> output_names_;
  onnx::Metadata metadata_;
  mutable std::atomic<bool> is_quick_{false};
};

}  // namespace digitvae
