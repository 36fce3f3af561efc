// Where the tests find a bundle and the ONNX Runtime library.
#pragma once

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>

#include "runtime/library.hpp"

namespace digitvae::testing {

inline std::string environment(const char* name, const std::string& fallback = "") {
  const char* const value = std::getenv(name);
  return value != nullptr ? value : fallback;
}

inline std::shared_ptr<const Runtime> open_runtime() {
  return Runtime::open(environment("DIGITVAE_ORT_LIBRARY", "libonnxruntime.so.1"));
}

inline std::string read_model(const std::string& name) {
  const std::string path = environment("DIGITVAE_TEST_BUNDLE") + "/" + name;
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace digitvae::testing
