// Where OrtGetApiBase comes from. The build picks one implementation: open_at_run_time.cpp (default)
// or open_linked.cpp (DIGITVAE_LINK_ORT).
#pragma once

#include <cstdint>
#include <string>

struct OrtApiBase;

namespace digitvae {

// The oldest C API that has everything we call and reads the opset we export: that of release 1.20. OrtApi
// only ever grows at its end, so newer headers and newer libraries serve it unchanged.
inline constexpr std::uint32_t kRequiredApi = 20;

struct ApiBase {
  std::string library;  // path or name it was opened by; empty if linked
  const OrtApiBase* base;
};

// `library`: a file, or a bare name for the system loader; empty: DIGITVAE_ORT_LIBRARY, else the system
// loader's usual names. Throws RuntimeLibraryError (not found, not ONNX Runtime), InvalidArgument (a
// library was asked for and one is linked).
ApiBase find_api_base(const std::string& library);

bool runtime_is_linked();

}  // namespace digitvae
