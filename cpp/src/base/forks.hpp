// fork() in a process whose other threads may be inside ONNX Runtime.
#pragma once

#include <memory>

namespace digitvae {

// Of all threads, the child of a fork has only the one that forked. A lock that another one held at that moment, of
// ours or of ONNX Runtime's, is never given back there. So a fork waits for the others: whoever calls ONNX Runtime,
// takes a lock that such a call is made under, or starts a thread (in the midst of which glibc 2.36 leaves the child
// with memory that it frees twice), does so while one of these lives. It may be had again by the same thread. What it
// guards must not wait for a thread that may itself come to make one.
class ForkWaits {
 public:
  ForkWaits() noexcept;  // waits while another thread forks
  ~ForkWaits();
  ForkWaits(const ForkWaits&) = delete;
  ForkWaits& operator=(const ForkWaits&) = delete;
};

// Whether some thread of the parent was inside for so long (a second) that the fork went ahead: nothing of ONNX
// Runtime can be touched in this process.
bool is_lost_child() noexcept;

// For calls of ONNX Runtime. Throws RuntimeLibraryError in a lost child.
class InRuntime {
 public:
  InRuntime();

 private:
  ForkWaits waits_;
};

// Grows with every fork that led to this process: whoever finds another number than before is a child, without the
// threads that there were.
unsigned fork_generation() noexcept;

// In such a child, the end of a call that other threads worked for: its poll forked.
[[noreturn]] void throw_forked_in_callback();

// Releases what is ONNX Runtime's, but in a lost child, which leaves it lying.
template <typename T>
struct ReleaseInside {
  void (*release)(T*);

  void operator()(T* value) const {
    if (is_lost_child()) return;
    const ForkWaits inside;
    release(value);
  }
};

template <typename T>
using OwnedOfRuntime = std::unique_ptr<T, ReleaseInside<T>>;

}  // namespace digitvae
