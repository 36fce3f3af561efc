#include "runtime/library.hpp"

#include <dlfcn.h>
#include <onnxruntime_c_api.h>

#include <utility>

#include "error.hpp"

namespace digitvae {
namespace {

// The oldest C API that has everything we call and reads the opset we export. OrtApi only ever
// grows at its end, so newer headers and newer libraries serve it unchanged.
constexpr std::uint32_t kRequiredApi = 20;
static_assert(kRequiredApi <= ORT_API_VERSION, "the ONNX Runtime headers are too old: API 20 (release 1.20) is needed");

}  // namespace

std::shared_ptr<const Runtime> Runtime::open(const std::string& path) {
  // RTLD_LOCAL: the Python package onnxruntime may live in the same process with its own copy.
  void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library == nullptr) {
    const char* const reason = dlerror();
    throw RuntimeLibraryError("cannot open the ONNX Runtime library " + path + ": " +
                              (reason != nullptr ? reason : "unknown reason"));
  }
  using GetApiBase = const OrtApiBase* (*)();
  const auto get_api_base = reinterpret_cast<GetApiBase>(dlsym(library, "OrtGetApiBase"));
  const OrtApiBase* const base = get_api_base != nullptr ? get_api_base() : nullptr;
  if (base == nullptr) {
    dlclose(library);
    throw RuntimeLibraryError(path + " is not the ONNX Runtime library: it has no OrtGetApiBase");
  }
  const std::string version = base->GetVersionString();
  const OrtApi* const api = base->GetApi(kRequiredApi);
  if (api == nullptr) {
    dlclose(library);
    throw RuntimeLibraryError("the ONNX Runtime library " + path + " is version " + version +
                              ", too old: digitvae needs 1." + std::to_string(kRequiredApi) +
                              " or newer. Upgrade it, or point DIGITVAE_ORT_LIBRARY at a newer one");
  }
  return std::shared_ptr<const Runtime>(new Runtime(path, version, api));
}

Runtime::Runtime(std::string path, std::string version, const OrtApi* api)
    : path_(std::move(path)), version_(std::move(version)), api_(api) {
  check(api_->CreateEnv(ORT_LOGGING_LEVEL_FATAL, "digitvae", &env_), "creating the ONNX Runtime environment");
}

Runtime::~Runtime() {
  if (env_ != nullptr) api_->ReleaseEnv(env_);
}

std::string Runtime::message_of(OrtStatus* status) const {
  if (status == nullptr) return {};
  std::string message = api_->GetErrorMessage(status);
  api_->ReleaseStatus(status);
  return message.empty() ? "unknown error" : message;
}

void Runtime::check(OrtStatus* status, const std::string& doing) const {
  if (status == nullptr) return;
  throw RuntimeLibraryError(doing + ": " + message_of(status) + " (ONNX Runtime " + version_ + ")");
}

}  // namespace digitvae
