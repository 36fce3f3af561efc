#include "onnx/library.hpp"

#include <onnxruntime_c_api.h>

#include <cstring>
#include <new>
#include <utility>

#include "base/error.hpp"

namespace digitvae {
namespace {

static_assert(kRequiredApi <= ORT_API_VERSION, "the ONNX Runtime headers are too old: API 20 (release 1.20) is needed");

// ONNX Runtime has no status code for this: it reports the exception's text, or its own.
bool tells_of_exhausted_memory(const char* message) {
  return std::strstr(message, "bad_alloc") != nullptr || std::strstr(message, "Failed to allocate memory") != nullptr;
}

}  // namespace

std::shared_ptr<const Runtime> Runtime::open(const std::string& path) {
  const InRuntime inside;
  const ApiBase found = find_api_base(path);
  const std::string version = found.base->GetVersionString();
  const OrtApi* const api = found.base->GetApi(kRequiredApi);
  if (api == nullptr) {
    throw RuntimeLibraryError("the ONNX Runtime library " + found.library + " is version " + version +
                              ", too old: digitvae needs 1." + std::to_string(kRequiredApi) +
                              " or newer. Upgrade it, or point DIGITVAE_ORT_LIBRARY at a newer one");
  }
  return std::shared_ptr<const Runtime>(new Runtime(found.library, version, api));
}

Runtime::Runtime(std::string path, std::string version, const OrtApi* api)
    : path_(std::move(path)), version_(std::move(version)), api_(api), env_(nullptr, {api->ReleaseEnv}) {
  OrtEnv* env = nullptr;
  check(api_->CreateEnv(ORT_LOGGING_LEVEL_FATAL, "digitvae", &env), "creating the ONNX Runtime environment");
  env_.reset(env);
  // Official builds report usage over the network. Making digits is nobody else's business (what it takes to stop
  // also the first report, sent by CreateEnv itself, is the application's to decide: docs/embedding.md).
  check(api_->DisableTelemetryEvents(env), "turning telemetry off");
}

std::string Runtime::message_of(OrtStatus* status) const {
  if (status == nullptr) return {};
  const std::unique_ptr<OrtStatus, void (*)(OrtStatus*)> owned(status, api_->ReleaseStatus);
  const char* const message = api_->GetErrorMessage(status);
  if (tells_of_exhausted_memory(message)) throw std::bad_alloc();
  return *message == '\0' ? "unknown error" : message;
}

void Runtime::check(OrtStatus* status, const char* doing) const {
  if (status == nullptr) return;
  const std::string message = message_of(status);
  throw RuntimeLibraryError(std::string(doing) + ": " + message + " (ONNX Runtime " + version_ + ")");
}

}  // namespace digitvae
