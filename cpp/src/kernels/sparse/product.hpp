// The dense layer after a ReLU, without the multiplications by zero.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace digitvae::sparse {

struct Kernel;

// Floats that begin at a multiple of 64 bytes, as vector instructions like them; not initialised.
class AlignedFloats {
 public:
  AlignedFloats() = default;
  explicit AlignedFloats(std::size_t count);
  float* get() const { return begin_; }

 private:
  std::unique_ptr<float[]> memory_;
  float* begin_ = nullptr;
};

// out = hidden · weightsᵀ + bias, where many of the hidden activations are exactly zero (about half, after
// a ReLU) and are not multiplied. Kernels may work on two rows at a time, chosen to be active in the same places,
// and then multiply what is active in either: about 0.7 of all. Each output is summed in the order that
// ONNX Runtime's dense kernels use (fused multiply-adds in the order of the inputs, a new sum for every 256
// of them, the sums added to the bias), and leaving out a product with zero changes no sum (but for the sign of
// a sum that has underflowed to zero), so that the bits are the same as theirs; whoever uses it checks that
// (model/networks.hpp).
//
// Thread-safe once built.
class Product {
 public:
  // Does this processor have the instructions, and do the sizes fit?
  static bool supports(std::size_t inputs, std::size_t outputs);

  // Copies weights [outputs, inputs] and bias [outputs]. Only if supports() and all weights are finite (zero
  // times infinity must not be left out): InvalidArgument otherwise.
  Product(const float* weights, const float* bias, std::size_t inputs, std::size_t outputs);

  // With a kernel of the caller's choice, which the processor must be able to run.
  Product(const Kernel& kernel, const float* weights, const float* bias, std::size_t inputs, std::size_t outputs);

  std::size_t inputs() const { return inputs_; }
  std::size_t outputs() const { return outputs_; }

  // hidden [rows, inputs] → out [rows, outputs]. Up to kMostRows rows share the work best.
  void multiply(const float* hidden, std::size_t rows, float* out) const { multiply(hidden, rows, out, nullptr); }

  // Some outputs on this thread and some on others: `on_all` calls what it is given at the same time on this thread
  // and on others, on up to `most` in all, and returns when it has returned everywhere.
  using OnAll = std::function<void(std::size_t most, const std::function<void()>&)>;
  void multiply(const float* hidden, std::size_t rows, float* out, const OnAll* on_all) const;

  // Whether so many rows take less time than in dense kernels (docs/performance.md).
  static bool pays(std::size_t rows);

  static constexpr std::size_t kMostRows = 128;

 private:
  struct Rows;
  struct Scratch;
  static Scratch& scratch_of_this_thread();
  void arrange(const float* hidden, std::size_t count, float* out, Rows& rows) const;
  void multiply_columns(const Rows& rows, std::size_t block_of_columns) const;

  const Kernel& kernel_;
  std::size_t inputs_;
  std::size_t outputs_;
  AlignedFloats weights_;  // [outputs / width][inputs][width], width: columns that the kernel works on at a time
  std::vector<float> bias_;
};

}  // namespace digitvae::sparse
