// The ONNX Runtime shared library, opened at run time.
#pragma once

#include <memory>
#include <string>

struct OrtApi;
struct OrtEnv;
struct OrtStatus;

namespace digitvae {

// One opened library and one environment in it. Shared by every session; thread-safe.
// The library's code stays mapped after the last handle (its threads-local data outlives dlclose),
// but nothing of ours and no OrtEnv does.
class Runtime {
 public:
  // `path`: a file, or a bare name for the system loader ("libonnxruntime.so.1").
  // Throws RuntimeLibraryError: not found, not ONNX Runtime, or too old.
  static std::shared_ptr<const Runtime> open(const std::string& path);

  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  const std::string& path() const { return path_; }
  const std::string& version() const { return version_; }
  const OrtApi& api() const { return *api_; }
  OrtEnv& env() const { return *env_; }

  // Turn a status into a RuntimeLibraryError whose message starts with `doing`.
  void check(OrtStatus* status, const std::string& doing) const;
  // The message of a failed status, which is released; empty if it succeeded.
  std::string message_of(OrtStatus* status) const;

 private:
  Runtime(std::string path, std::string version, const OrtApi* api);

  std::string path_;
  std::string version_;
  const OrtApi* api_;
  OrtEnv* env_ = nullptr;
};

}  // namespace digitvae
