#include <dlfcn.h>
#include <onnxruntime_c_api.h>
#include <stdlib.h>

#include "base/error.hpp"
#include "onnx/library.hpp"

namespace digitvae {
namespace {

constexpr std::uint32_t kNewestMinor = 99;
constexpr const char* kEnvironmentVariable = "DIGITVAE_ORT_LIBRARY";

ApiBase open(const std::string& library) {
  // RTLD_LOCAL: another copy may live in the same process (the Python package onnxruntime, for one).
  // RTLD_NODELETE: its thread-local data must outlive every handle, so it is never closed.
  void* const opened = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (opened == nullptr) {
    const char* const reason = dlerror();
    throw RuntimeLibraryError("cannot open the ONNX Runtime library " + library + ": " +
                              (reason != nullptr ? reason : "unknown reason"));
  }
  using GetApiBase = const OrtApiBase* (*)();
  const auto get_api_base = reinterpret_cast<GetApiBase>(dlsym(opened, "OrtGetApiBase"));
  const OrtApiBase* const base = get_api_base != nullptr ? get_api_base() : nullptr;
  if (base == nullptr) {
    throw RuntimeLibraryError(library + " is not the ONNX Runtime library: it has no OrtGetApiBase");
  }
  return {library, base};
}

}  // namespace

ApiBase find_api_base(const std::string& library) {
  if (!library.empty()) return open(library);
  // A program with more rights than its caller must not let the caller choose what it loads.
  const char* const asked_for = secure_getenv(kEnvironmentVariable);
  if (asked_for != nullptr && *asked_for != '\0') return open(asked_for);
  std::string reasons;
  for (const char* const name : {"libonnxruntime.so.1", "libonnxruntime.so"}) {
    try {
      return open(name);
    } catch (const RuntimeLibraryError& error) {
      reasons += std::string(reasons.empty() ? "" : "; ") + error.what();
    }
  }
  // Debian names it by its minor version too, and has the plain name in a package for developers only.
  for (std::uint32_t minor = kNewestMinor; minor >= kRequiredApi; --minor) {
    const std::string name = "libonnxruntime.so.1." + std::to_string(minor);
    try {
      return open(name);
    } catch (const RuntimeLibraryError&) {  // the two above have said enough
    }
  }
  throw RuntimeLibraryError(std::string("no ONNX Runtime library was found. Install ONNX Runtime, or set ") +
                            kEnvironmentVariable + " to a libonnxruntime file. The system loader said: " + reasons);
}

bool runtime_is_linked() { return false; }

}  // namespace digitvae
