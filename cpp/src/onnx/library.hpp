// The ONNX Runtime shared library and one environment in it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/forks.hpp"

struct OrtApi;
struct OrtApiBase;
struct OrtEnv;
struct OrtStatus;

namespace digitvae {

// The oldest C API that has everything we call and reads the opset we export: that of release 1.20. OrtApi
// only ever grows at its end, so newer headers and newer libraries serve it unchanged.
inline constexpr std::uint32_t kRequiredApi = 20;

// Where OrtGetApiBase comes from. The build picks one implementation: open_at_run_time.cpp (default)
// or open_linked.cpp (DIGITVAE_LINK_ORT).
struct ApiBase {
  std::string library;  // path or name it was opened by; empty if linked
  const OrtApiBase* base;
};

// Throws as Runtime::open, and InvalidArgument if a library was asked for and one is linked.
ApiBase find_api_base(const std::string& library);

bool runtime_is_linked();

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
