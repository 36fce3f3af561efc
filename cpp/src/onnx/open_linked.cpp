#include <onnxruntime_c_api.h>

#include "base/error.hpp"
#include "onnx/library.hpp"

namespace digitvae {

ApiBase find_api_base(const std::string& library) {
  if (!library.empty()) {
    throw InvalidArgument("an ONNX Runtime library was asked for (" + library +
                          "), but this build of digitvae has one linked in");
  }
  return {"", OrtGetApiBase()};
}

bool runtime_is_linked() { return true; }

}  // namespace digitvae
