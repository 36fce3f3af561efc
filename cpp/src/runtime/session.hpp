// One ONNX model loaded into ONNX Runtime, with every input and output float32 [batch, columns].
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/library.hpp"

struct OrtSession;
struct OrtValue;
struct OrtMemoryInfo;

namespace digitvae {

struct TensorSpec {
  std::string name;
  std::size_t columns;
};

// Thread-safe once built: many threads may bind and run at the same time.
class Session {
 public:
  // Throws ModelError if the bytes are not an ONNX model or a tensor is not float32 [batch, n].
  Session(std::shared_ptr<const Runtime> runtime, const void* model, std::size_t bytes);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const std::vector<TensorSpec>& inputs() const { return inputs_; }
  const std::vector<TensorSpec>& outputs() const { return outputs_; }
  std::optional<std::string> metadata(const std::string& key) const;

  // Memory of the caller's seen as a tensor [rows, columns]; must outlive the tensor.
  class Tensor {
   public:
    Tensor(const Session& session, float* data, std::size_t rows, std::size_t columns);
    ~Tensor();
    Tensor(const Tensor&) = delete;
    Tensor& operator=(const Tensor&) = delete;
    OrtValue* get() const { return value_; }

   private:
    const Runtime* runtime_;
    OrtValue* value_ = nullptr;
  };

  // Run with one input and all outputs in place. Throws RuntimeLibraryError.
  void run(const Tensor& input, const std::vector<const Tensor*>& outputs) const;

 private:
  std::vector<TensorSpec> describe(bool inputs) const;

  std::shared_ptr<const Runtime> runtime_;
  OrtSession* session_ = nullptr;
  OrtMemoryInfo* memory_ = nullptr;
  std::vector<TensorSpec> inputs_;
  std::vector<TensorSpec> outputs_;
  std::vector<const char*> output_names_;
};

}  // namespace digitvae
