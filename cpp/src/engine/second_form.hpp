// A model in a second form, which is made when it pays.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "error.hpp"
#include "runtime/forks.hpp"

namespace digitvae {

// Which form of a model to use: as it is in its file, or with code of ours in the place of some nodes or of all, which
// gives the same bits sooner. To compare them, each can be asked for.
enum class Form { kWhicheverPays, kFirst, kSecond };

// Whether a second form may come to be used. DIGITVAE_DENSE in the environment (any value but 0) turns
// kWhicheverPays into kFirst.
bool may_be_second(Form form);

inline constexpr std::size_t kWorthwhileRows = 8'192;
inline constexpr std::size_t kWorthwhileCalls = 512;  // of few rows

// A second form takes some milliseconds to make and to compare with the first. So it is made when so much has been
// asked for that it would have paid for itself. T is the session, and what belongs to it. Thread-safe.
template <typename T>
class SecondForm {
 public:
  using Make = std::function<std::unique_ptr<const T>()>;

  // `make`, called once, gives null or throws if the second form is of no use; an empty one says that there is none.
  explicit SecondForm(Make make) : make_(std::move(make)), decided_(make_ == nullptr) {}

  // To be told of every call and how many rows it is for. Throws Cancelled if the call is stopped meanwhile.
  void prepare_for(std::size_t rows) const {
    if (decided_.load(std::memory_order_acquire)) return;
    // However few rows a call is for, the weights have to come from memory.
    const std::size_t weight = std::max(rows, kWorthwhileRows / kWorthwhileCalls);
    if (rows_.fetch_add(weight, std::memory_order_relaxed) + weight < kWorthwhileRows) return;
    const InRuntime inside;  // before the lock, which the child of a fork needs as well
    const std::unique_lock<std::mutex> lock(making_, std::try_to_lock);
    if (!lock || decided_.load(std::memory_order_relaxed)) return;  // another thread makes it: there is the first form
    try {
      made_ = make_();
    } catch (const Cancelled&) {  // another call may go through with it
      throw;
    } catch (const std::exception&) {  // an ONNX Runtime without operators of others, a model unfit for them, no
    }  // memory: whatever it is, there is a first form, which works
    make_ = nullptr;
    usable_.store(made_.get(), std::memory_order_release);
    decided_.store(true, std::memory_order_release);
  }

  // For Form::kSecond: make it now.
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
