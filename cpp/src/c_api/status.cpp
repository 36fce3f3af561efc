#include "c_api/status.hpp"

#include <array>
#include <cstring>
#include <new>

#include "base/error.hpp"
#include "onnx/library.hpp"

namespace digitvae::c_api {
namespace {

// Fixed memory: keeping the message of a failed allocation must not allocate.
thread_local std::array<char, 1024> last_error{};

dvae_status fail(dvae_status status, const char* message) noexcept {
  std::size_t length = std::strlen(message);
  if (length >= last_error.size()) {
    length = last_error.size() - 1;
    // Not in the middle of a UTF-8 character: its continuation bytes are 10xxxxxx.
    while (length > 0 && (static_cast<unsigned char>(message[length]) & 0xC0U) == 0x80U) --length;
  }
  // What a terminal would obey, in a name from a file, becomes '?': U+0000 to U+001F, U+007F to U+009F.
  unsigned char before = 0;
  for (std::size_t i = 0; i < length; ++i) {
    const auto byte = static_cast<unsigned char>(message[i]);
    const bool is_second_of_control = before == 0xC2 && byte >= 0x80 && byte <= 0x9F;
    if (is_second_of_control) last_error[i - 1] = '?';
    last_error[i] = byte < 0x20 || byte == 0x7F || is_second_of_control ? '?' : message[i];
    before = byte;
  }
  last_error[length] = '\0';
  return status;
}

}  // namespace

dvae_status status_of_current_exception() noexcept {
  try {
    throw;
  } catch (const InvalidArgument& error) {
    return fail(DVAE_INVALID_ARGUMENT, error.what());
  } catch (const FileError& error) {
    return fail(DVAE_IO_ERROR, error.what());
  } catch (const ModelError& error) {
    return fail(DVAE_MODEL_ERROR, error.what());
  } catch (const RuntimeLibraryError& error) {
    return fail(DVAE_RUNTIME_ERROR, error.what());
  } catch (const Cancelled&) {
    return fail(DVAE_CANCELLED, "cancelled by a callback");
  } catch (const std::bad_alloc&) {
    return fail(DVAE_OUT_OF_MEMORY, "out of memory");
  } catch (const std::exception& error) {
    return fail(DVAE_INTERNAL_ERROR, error.what());
  } catch (...) {
    return fail(DVAE_INTERNAL_ERROR, "an exception of unknown type");
  }
}

}  // namespace digitvae::c_api

extern "C" {

const char* dvae_status_name(dvae_status status) {
  static constexpr char kNames[][22] = {"DVAE_OK",          "DVAE_INVALID_ARGUMENT", "DVAE_IO_ERROR",
                                        "DVAE_MODEL_ERROR", "DVAE_RUNTIME_ERROR",    "DVAE_OUT_OF_MEMORY",
                                        "DVAE_CANCELLED",   "DVAE_INTERNAL_ERROR"};
  const auto number = static_cast<std::size_t>(status);
  return number < std::size(kNames) ? kNames[number] : "unknown status";
}

const char* dvae_last_error() { return digitvae::c_api::last_error.data(); }

#define DVAE_TEXT_OF(number) #number
#define DVAE_DOTTED(major, minor, patch) DVAE_TEXT_OF(major) "." DVAE_TEXT_OF(minor) "." DVAE_TEXT_OF(patch)

const char* dvae_version() { return DVAE_DOTTED(DVAE_VERSION_MAJOR, DVAE_VERSION_MINOR, DVAE_VERSION_PATCH); }

uint32_t dvae_abi_version() { return DVAE_ABI_VERSION; }

int32_t dvae_runtime_is_linked() { return digitvae::runtime_is_linked() ? 1 : 0; }

}  // extern "C"
