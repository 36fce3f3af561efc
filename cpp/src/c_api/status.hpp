// The border of the C ABI: no exception crosses it.
#pragma once

#include <digitvae/digitvae.h>

#include <stdexcept>

namespace digitvae::c_api {

// A model file cannot be read.
class FileError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The status of the exception being handled, whose message becomes this thread's last error.
dvae_status status_of_current_exception() noexcept;

// Do `work`; an exception becomes a status.
template <typename Work>
dvae_status guarded(const Work& work) noexcept {
  try {
    work();
    return DVAE_OK;
  } catch (...) {
    return status_of_current_exception();
  }
}

}  // namespace digitvae::c_api
