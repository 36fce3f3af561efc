// Ending the runs of a model from another thread.
#pragma once

#include <atomic>
#include <mutex>
#include <vector>

#include "onnx/library.hpp"

struct OrtRunOptions;

namespace digitvae {

// Whether one call is to stop, for all threads that work for it. Thread-safe.
class Stop {
 public:
  Stop() = default;
  Stop(const Stop&) = delete;
  Stop& operator=(const Stop&) = delete;

  // Ask for it. Runs of models under way end when their next node is to begin, and those to come do at once.
  void ask();
  bool is_asked() const { return asked_; }

  // Of the call that this thread works for; null if it cannot be stopped.
  static Stop* of_this_thread();

  // Says so, as long as it lives.
  class OfThisThread {
   public:
    explicit OfThisThread(Stop* stop);
    ~OfThisThread();
    OfThisThread(const OfThisThread&) = delete;
    OfThisThread& operator=(const OfThisThread&) = delete;

   private:
    Stop* before_;
  };

  // One run of a model, to be made with these options.
  class Run {
   public:
    Run(Stop* stop, const Runtime& runtime);
    ~Run();
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;

    const OrtRunOptions* options() const { return options_.get(); }  // null without a stop
    bool is_stopped() const { return stop_ != nullptr && stop_->is_asked(); }

   private:
    friend class Stop;
    void end();

    Stop* stop_;
    const Runtime& runtime_;
    OwnedOfRuntime<OrtRunOptions> options_;
  };

 private:
  std::atomic<bool> asked_{false};
  std::mutex mutex_;
  std::vector<Run*> runs_;  // under way
};

}  // namespace digitvae
