// Opening, describing and closing models.
#include <digitvae/digitvae.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <system_error>
#include <vector>

#include "base/arithmetic.hpp"
#include "c_api/arguments.hpp"
#include "c_api/status.hpp"

namespace digitvae::c_api {
namespace {

std::vector<char> read_file(const std::string& path) {
  constexpr std::uintmax_t kMaxBytes = std::uintmax_t{1} << 30;
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  if (std::filesystem::is_directory(status)) {
    throw FileError("cannot read the model " + path + ": it is a folder; give the .onnx file in it");
  }
  const std::uintmax_t bytes = std::filesystem::is_regular_file(status) ? std::filesystem::file_size(path, error) : 0;
  if (error) throw FileError("cannot read the model " + path + ": " + error.message());
  if (!std::filesystem::is_regular_file(status)) throw FileError("cannot read the model " + path + ": not a file");
  if (bytes > kMaxBytes) {
    throw FileError("the model " + path + " has " + std::to_string(bytes) + " bytes, expected at most 1 GiB");
  }
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
  if (file == nullptr) {
    throw FileError("cannot read the model " + path + ": " + std::generic_category().message(errno));
  }
  std::vector<char> content(static_cast<std::size_t>(bytes));
  if (std::fread(content.data(), 1, content.size(), file.get()) != content.size()) {
    throw FileError("cannot read the model " + path + ": it ends early, or cannot be read");
  }
  return content;
}

// Empty: to be looked for.
std::string read_ort_library(const dvae_open_options* given) {
  const dvae_open_options options = read_options(given, DVAE_OPEN_OPTIONS_INIT, "dvae_open_options");
  if (options.ort_library == nullptr) return {};
  if (*options.ort_library == '\0') {
    throw InvalidArgument("ort_library is an empty string, expected a path, or NULL to look for it");
  }
  return options.ort_library;
}

template <typename Handle>
void open_from_bytes(const void* model, std::size_t bytes, const std::string& ort_library, Handle** handle) {
  const DefaultArithmetic arithmetic;
  *handle = new Handle{{Runtime::open(ort_library), model, bytes}};
}

template <typename Handle>
dvae_status open_memory(const void* model, std::size_t bytes, const dvae_open_options* options, Handle** handle) {
  return guarded([&] {
    require(handle, "handle") = nullptr;
    if (model == nullptr) throw InvalidArgument("model is a null pointer");
    open_from_bytes(model, bytes, read_ort_library(options), handle);
  });
}

template <typename Handle>
dvae_status open_file(const char* path, const dvae_open_options* options, Handle** handle) {
  return guarded([&] {
    require(handle, "handle") = nullptr;
    require(path, "path");
    const std::string ort_library = read_ort_library(options);
    const std::vector<char> model = read_file(path);
    try {
      open_from_bytes(model.data(), model.size(), ort_library, handle);
    } catch (const ModelError& error) {
      throw ModelError(std::string(path) + ": " + error.what());
    }
  });
}

template <typename Handle>
dvae_status describe(const Handle* handle, dvae_info* info) {
  return guarded([&] {
    const ModelInfo& model = require(handle, "handle").core.info();
    const Runtime& runtime = *handle->core.session().runtime();
    require(info, "info");
    read_options(info, DVAE_INFO_INIT, "dvae_info");
    const dvae_info full{
        info->struct_size,     model.latent_dim,          model.height,          model.width, model.labels,
        model.dataset.c_str(), runtime.version().c_str(), runtime.path().c_str()};
    std::memcpy(info, &full, info->struct_size);  // which was found to be no larger than ours
  });
}

template <typename Handle>
dvae_status look_up(const Handle* handle, const char* key, const char** value) {
  return guarded([&] {
    const auto& metadata = require(handle, "handle").core.session().metadata();
    require(key, "key");
    require(value, "value");
    const auto found = metadata.find(key);
    *value = found == metadata.end() ? nullptr : found->second.c_str();
  });
}

}  // namespace
}  // namespace digitvae::c_api

using namespace digitvae::c_api;

extern "C" {

#define DVAE_FUNCTIONS_OF(model)                                                                                  \
  dvae_status dvae_##model##_open(const char* path, const dvae_open_options* options, dvae_##model** handle) {    \
    return open_file(path, options, handle);                                                                      \
  }                                                                                                               \
  dvae_status dvae_##model##_open_memory(const void* bytes, size_t count, const dvae_open_options* options,       \
                                         dvae_##model** handle) {                                                 \
    return open_memory(bytes, count, options, handle);                                                            \
  }                                                                                                               \
  void dvae_##model##_close(dvae_##model* handle) { delete handle; }                                              \
  dvae_status dvae_##model##_info(const dvae_##model* handle, dvae_info* info) { return describe(handle, info); } \
  dvae_status dvae_##model##_metadata(const dvae_##model* handle, const char* key, const char** value) {          \
    return look_up(handle, key, value);                                                                           \
  }

DVAE_FUNCTIONS_OF(decoder)
DVAE_FUNCTIONS_OF(encoder)
DVAE_FUNCTIONS_OF(prior)

}  // extern "C"
