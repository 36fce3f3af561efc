#include "onnx/stop.hpp"

#include <onnxruntime_c_api.h>

#include <algorithm>

namespace digitvae {
namespace {

thread_local Stop* stop_of_this_thread = nullptr;

}  // namespace

void Stop::ask() {
  const std::lock_guard<std::mutex> lock(mutex_);
  asked_ = true;
  for (Run* const run : runs_) run->end();
}

Stop* Stop::of_this_thread() { return stop_of_this_thread; }

Stop::OfThisThread::OfThisThread(Stop* stop) : before_(stop_of_this_thread) { stop_of_this_thread = stop; }

Stop::OfThisThread::~OfThisThread() { stop_of_this_thread = before_; }

Stop::Run::Run(Stop* stop, const Runtime& runtime)
    : stop_(stop), runtime_(runtime), options_(nullptr, {runtime.api().ReleaseRunOptions}) {
  if (stop == nullptr) return;
  OrtRunOptions* options = nullptr;
  runtime.check(runtime.api().CreateRunOptions(&options), "creating the options of a run");
  options_.reset(options);
  const std::lock_guard<std::mutex> lock(stop->mutex_);
  stop->runs_.push_back(this);
  if (stop->asked_) end();
}

Stop::Run::~Run() {
  if (stop_ == nullptr) return;
  const std::lock_guard<std::mutex> lock(stop_->mutex_);
  std::vector<Run*>& runs = stop_->runs_;
  runs.erase(std::find(runs.begin(), runs.end(), this));
}

void Stop::Run::end() {
  OrtStatus* const status = runtime_.api().RunOptionsSetTerminate(options_.get());
  if (status != nullptr) runtime_.api().ReleaseStatus(status);
}

}  // namespace digitvae
