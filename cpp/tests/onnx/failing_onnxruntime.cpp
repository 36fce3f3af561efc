// A stand-in for an ONNX Runtime that starts and then fails at everything, telling how often it was asked to keep
// its telemetry off.
#include <onnxruntime_c_api.h>

#include <string>

namespace {

int telemetry_turned_off = 0;
char environment;
char failed_status;

OrtStatus* failed() { return reinterpret_cast<OrtStatus*>(&failed_status); }

OrtStatus* ORT_API_CALL create_env(OrtLoggingLevel /*level*/, const char* /*id*/, OrtEnv** out) NO_EXCEPTION {
  *out = reinterpret_cast<OrtEnv*>(&environment);
  return nullptr;
}
OrtStatus* ORT_API_CALL turn_telemetry_off(const OrtEnv* /*env*/) NO_EXCEPTION {
  ++telemetry_turned_off;
  return nullptr;
}
OrtStatus* ORT_API_CALL fail(OrtSessionOptions** /*out*/) NO_EXCEPTION { return failed(); }
const char* ORT_API_CALL message(const OrtStatus* /*status*/) NO_EXCEPTION {
  static std::string text;
  text = "telemetry turned off " + std::to_string(telemetry_turned_off) + " times";
  return text.c_str();
}
void ORT_API_CALL release_status(OrtStatus* /*status*/) NO_EXCEPTION {}
void ORT_API_CALL release_env(OrtEnv* /*env*/) NO_EXCEPTION {}

const OrtApi* ORT_API_CALL get_api(uint32_t /*version*/) NO_EXCEPTION {
  static const OrtApi api = [] {
    OrtApi made{};
    made.CreateEnv = create_env;
    made.ReleaseEnv = release_env;
    made.DisableTelemetryEvents = turn_telemetry_off;
    made.CreateSessionOptions = fail;
    made.GetErrorMessage = message;
    made.ReleaseStatus = release_status;
    return made;
  }();
  return &api;
}
const char* ORT_API_CALL version() NO_EXCEPTION { return "1.99.0"; }
const OrtApiBase kBase{get_api, version};

}  // namespace

extern "C" __attribute__((visibility("default"))) const OrtApiBase* ORT_API_CALL OrtGetApiBase() NO_EXCEPTION {
  return &kBase;
}
