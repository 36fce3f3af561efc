#include <onnxruntime_c_api.h>

namespace {
const OrtApi* ORT_API_CALL refuse(uint32_t /*version*/) NO_EXCEPTION { return nullptr; }
const char* ORT_API_CALL version() NO_EXCEPTION { return "1.2.3"; }
const OrtApiBase kBase{refuse, version};
}  // namespace

extern "C" __attribute__((visibility("default"))) const OrtApiBase* ORT_API_CALL OrtGetApiBase() NO_EXCEPTION {
  return &kBase;
}
