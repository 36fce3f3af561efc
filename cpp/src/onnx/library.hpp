// The ONNX Runtime shared library and one environment in it.
#pragma once

#include <memory>
#include <string>

#include "base/forks.hpp"

struct OrtApi;
struct OrtEnv;
struct OrtStatus;

namespace digitvae {

// Shared by every session that was made with it; thread-safe. After the last one the library's code
// stays mapped, but nothing of ours and no OrtEnv does.
class Runtime {
 public:
  // `path`: a file, or a bare name for the system loader; empty: DIGITVAE_ORT_LIBRARY, else the system
  // loader's usual names. Throws RuntimeLibraryError: not found, not ONNX Runtime, or too old.
  static std::shared_ptr<const Runtime> open(const std::string& path = {});

  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  // The path or name it was opened by; empty if ONNX Runtime is linked in.
  const std::string& path() const { return path_; }
  const std::string& version() const { return version_; }
  const OrtApi& api() const { return *api_; }
  OrtEnv& env() const { return *env_; }

  // Turn a failed status into a RuntimeLibraryError whose message starts with `doing`, or into
  // std::bad_alloc if that is what it was.
  void check(OrtStatus* status, const char* doing) const;
  // The message of a failed status, which is released; empty if it succeeded. Throws std::bad_alloc.
  std::string message_of(OrtStatus* status) const;

 private:
  Runtime(std::string path, std::string version, const OrtApi* api);

  std::string path_;
  std::string version_;
  const OrtApi* api_;
  OwnedOfRuntime<OrtEnv> env_;
};

}  // namespace digitvae
