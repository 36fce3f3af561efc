// Where the tests find a bundle, small models and the ONNX Runtime library.
#pragma once

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "onnx/library.hpp"
#include "onnx/model_file.hpp"

namespace digitvae::testing {

// valgrind takes a hundred times as long: of what is repeated for the sake of numbers, it gets what memory may depend
// on. AddressSanitizer gets all.
#if defined(DIGITVAE_VALGRIND)
inline constexpr bool kUnderValgrind = true;
#else
inline constexpr bool kUnderValgrind = false;
#endif

inline std::string environment(const char* name, const std::string& fallback = "") {
  const char* const value = std::getenv(name);
  return value != nullptr ? value : fallback;
}

inline std::shared_ptr<const Runtime> open_runtime() { return Runtime::open(); }

inline std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// Of the shipped bundle.
inline std::string model_path(const std::string& name) { return environment("DIGITVAE_TEST_BUNDLE") + "/" + name; }
inline std::string read_model(const std::string& name) { return read_file(model_path(name)); }

// The file, checked as a decoder or encoder; it must outlive this.
inline onnx::Model as_network(const std::string& file) { return {file.data(), file.size(), onnx::Role::kNetwork}; }

// Small models that cpp/fuzz/make_corpus.py makes.
inline std::string read_corpus(const std::string& name) {
  return read_file(environment("DIGITVAE_TEST_CORPUS") + "/" + name);
}
inline std::string read_test_prior() { return read_file(environment("DIGITVAE_TEST_PRIOR")); }

// A model with the first occurrence of some bytes replaced.
inline std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  if (at == std::string::npos) throw std::runtime_error("there is no " + from + " to replace");
  return text.replace(at, from.size(), to);
}

inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

}  // namespace digitvae::testing
