// The optimized twin of a session: code of ours in the place of some nodes of its graph, or of all, to the same bits.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "base/error.hpp"
#include "base/forks.hpp"

namespace digitvae {

// The reference is the model as ONNX Runtime runs it. To compare them, each can be asked for.
enum class Variant { kWhicheverPays, kReference, kOptimized };

// Whether an optimized twin may come to be used. DIGITVAE_DENSE in the environment (any value but 0) turns
// kWhicheverPays into kReference.
inline bool may_optimize(Variant variant) {
  if (variant != Variant::kWhicheverPays) return variant == Variant::kOptimized;
  const char* const dense = secure_getenv("DIGITVAE_DENSE");
  return dense == nullptr || *dense == '\0' || std::strcmp(dense, "0") == 0;
}

inline constexpr std::size_t kWorthwhileRows = 8'192;
inline constexpr std::size_t kWorthwhileCalls = 512;  // of few rows

// It takes some milliseconds to make and to compare with the reference. So it is made when so much has been asked for
// that it would have paid for itself. T: what it runs with. Thread-safe.
template <typename T>
class Optimized {
 public:
  using Make = std::function<std::unique_ptr<const T>()>;

  // `make`, called once, gives null or throws if a twin is of no use; an empty one says that there is none.
  explicit Optimized(Make make) : make_(std::move(make)), decided_(make_ == nullptr) {}

  // To be told of every call and how many rows it is for. Throws Cancelled if the call is stopped meanwhile.
  void prepare_for(std::size_t rows) const {
    if (decided_.load(std::memory_order_acquire)) return;
    // However few rows a call is for, the weights have to come from memory.
    const std::size_t weight = std::max(rows, kWorthwhileRows / kWorthwhileCalls);
    if (rows_.fetch_add(weight, std::memory_order_relaxed) + weight < kWorthwhileRows) return;
    const InRuntime inside;  // before the lock, which the child of a fork needs as well
    const std::unique_lock<std::mutex> lock(making_, std::try_to_lock);
    if (!lock || decided_.load(std::memory_order_relaxed)) return;  // another thread makes it: there is the reference
    try {
      made_ = make_();
    } catch (const Cancelled&) {  // another call may go through with it
      throw;
    } catch (const std::exception&) {  // an ONNX Runtime without operators of others, a model unfit for them, no
    }  // memory: whatever it is, there is the reference, which works
    make_ = nullptr;
    usable_.store(made_.get(), std::memory_order_release);
    decided_.store(true, std::memory_order_release);
  }

  // For Variant::kOptimized: make it now.
  void prepare() const { prepare_for(kWorthwhileRows); }

  // Null as long as there is none.
  const T* get() const { return usable_.load(std::memory_order_acquire); }

 private:
  mutable std::mutex making_;
  mutable Make make_;
  mutable std::unique_ptr<const T> made_;
  mutable std::atomic<const T*> usable_{nullptr};
  mutable std::atomic<std::size_t> rows_{0};
  mutable std::atomic<bool> decided_;
};

}  // namespace digitvae
