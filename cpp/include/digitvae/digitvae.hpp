// digitvae for C++17: a header-only layer over digitvae.h. Handles close themselves, failures are
// exceptions (dvae::Error), results are vectors. What digitvae.h says of ownership, threads, arrays and
// randomness holds here; only what is different is said again.
//
//   dvae::Decoder decoder("decoder.onnx");
//   std::vector<std::uint8_t> images = decoder.sample<std::uint8_t>(1000, {.seed = 7});   // C++20 spelling
//
// Pixel is std::uint8_t or float. Every call may throw dvae::Error, or std::bad_alloc where digitvae.h says
// DVAE_OUT_OF_MEMORY; a callback's own exception passes through the library unharmed.
#ifndef DIGITVAE_DIGITVAE_HPP
#define DIGITVAE_DIGITVAE_HPP

#include <digitvae/digitvae.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <limits>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace dvae {

// A call that failed: its status, and the library's message as what().
class Error : public std::runtime_error {
 public:
  Error(dvae_status status, const std::string& message) : std::runtime_error(message), status_(status) {}
  dvae_status status() const noexcept { return status_; }

 private:
  dvae_status status_;
};

// Asked about every 20 ms on the calling thread; return true to cancel, which throws an Error with
// DVAE_CANCELLED.
using Progress = std::function<bool(std::uint64_t done, std::uint64_t total)>;

enum class Interpolation : std::int32_t { kLerp = DVAE_LERP, kSlerp = DVAE_SLERP };

struct OpenOptions {
  std::string ort_library{};  // empty: DIGITVAE_ORT_LIBRARY, else the system loader
};

struct RunOptions {
  std::uint32_t threads = 0;  // 0: all processors of this process
  Progress progress{};
};

class Prior;

struct SampleOptions {
  std::uint64_t seed = 0;
  std::uint64_t first = 0;
  const Prior* prior = nullptr;  // borrowed for the call; nullptr: N(0, I)
  std::int32_t digit = -1;       // with a prior: only this class
  std::uint32_t threads = 0;
  Progress progress{};
  float truncation = 1.0F;  // in [0, 1]: the noise is multiplied by it
};

// Copied out of dvae_info: these strings live as long as you like.
struct Info {
  std::size_t latent_dim;
  std::size_t height;
  std::size_t width;
  std::size_t labels;
  std::string dataset;
  std::string runtime_version;
  std::string runtime_library;

  std::size_t pixels() const { return height * width; }
};

// Rows with their classes.
template <typename T>
struct Labelled {
  std::vector<T> values;
  std::vector<std::int32_t> labels;
};

struct Posterior {
  std::vector<float> mu;      // [count, latent_dim]
  std::vector<float> logvar;  // [count, latent_dim], natural logarithm of the variance
};

namespace detail {

inline void check(dvae_status status) {
  if (status == DVAE_OK) return;
  if (status == DVAE_OUT_OF_MEMORY) throw std::bad_alloc();
  throw Error(status, dvae_last_error());
}

// count × width values. Throws instead of wrapping around.
inline std::size_t values_of(std::size_t count, std::size_t width) {
  if (width != 0 && count > std::numeric_limits<std::size_t>::max() / sizeof(float) / width) {
    throw Error(DVAE_INVALID_ARGUMENT, std::to_string(count) + " rows of " + std::to_string(width) +
                                           " values are more than memory can be addressed");
  }
  return count * width;
}

// The number of rows of `width` values in `size`, which must come out even.
inline std::size_t rows_of(std::size_t size, std::size_t width, const std::string& what) {
  if (width != 0 && size % width == 0) return size / width;
  throw Error(DVAE_INVALID_ARGUMENT,
              std::to_string(size) + " values of " + what + " are not whole rows of " + std::to_string(width));
}

// A callback of C++ as one of C. Its exception is kept while C unwinds, and thrown again by rethrow().
class Relay {
 public:
  explicit Relay(const Progress& progress) : progress_(progress) {}
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  template <typename Options>
  void put_into(Options& options) {
    if (!progress_) return;
    options.progress = [](void* self, std::uint64_t done, std::uint64_t total) {
      Relay& relay = *static_cast<Relay*>(self);
      return relay.protect([&] { return relay.progress_(done, total); });
    };
    options.progress_context = this;
  }

  template <typename Work>
  std::int32_t protect(const Work& work) {
    try {
      return work() ? 1 : 0;
    } catch (...) {
      failure_ = std::current_exception();
      return 1;
    }
  }

  void check(dvae_status status) const {
    if (failure_) std::rethrow_exception(failure_);
    detail::check(status);
  }

 private:
  const Progress& progress_;
  std::exception_ptr failure_;
};

// The functions of one kind of model in the C ABI.
struct DecoderApi {
  using Handle = dvae_decoder;
  static constexpr auto open = dvae_decoder_open;
  static constexpr auto open_memory = dvae_decoder_open_memory;
  static constexpr auto close = dvae_decoder_close;
  static constexpr auto info = dvae_decoder_info;
  static constexpr auto metadata = dvae_decoder_metadata;
};
struct EncoderApi {
  using Handle = dvae_encoder;
  static constexpr auto open = dvae_encoder_open;
  static constexpr auto open_memory = dvae_encoder_open_memory;
  static constexpr auto close = dvae_encoder_close;
  static constexpr auto info = dvae_encoder_info;
  static constexpr auto metadata = dvae_encoder_metadata;
};
struct PriorApi {
  using Handle = dvae_prior;
  static constexpr auto open = dvae_prior_open;
  static constexpr auto open_memory = dvae_prior_open_memory;
  static constexpr auto close = dvae_prior_close;
  static constexpr auto info = dvae_prior_info;
  static constexpr auto metadata = dvae_prior_metadata;
};

// An open model. Moves, does not copy.
template <typename Api>
class Model {
 public:
  using Handle = typename Api::Handle;

  explicit Model(const std::string& path, const OpenOptions& options = {}) : Model() {
    if (path.find('\0') != std::string::npos) throw Error(DVAE_INVALID_ARGUMENT, "the path has a zero byte in it");
    const dvae_open_options c_options = to_c(options);
    Handle* handle = nullptr;
    check(Api::open(path.c_str(), &c_options, &handle));
    take(handle);
  }

  // The bytes may go when this returns.
  Model(const void* model, std::size_t model_bytes, const OpenOptions& options = {}) : Model() {
    const dvae_open_options c_options = to_c(options);
    Handle* handle = nullptr;
    check(Api::open_memory(model, model_bytes, &c_options, &handle));
    take(handle);
  }

  const Info& info() const { return info_; }

  // The value of a key of the model's metadata; `missing` if it has no such key.
  std::string metadata(const std::string& key, const std::string& missing = "") const {
    const char* value = nullptr;
    check(Api::metadata(handle_.get(), key.c_str(), &value));
    return value == nullptr ? missing : value;
  }

  // For the C functions; still owned here.
  Handle* get() const { return handle_.get(); }

 private:
  Model() : handle_(nullptr, Api::close) {}

  static dvae_open_options to_c(const OpenOptions& options) {
    dvae_open_options c_options = DVAE_OPEN_OPTIONS_INIT;
    if (!options.ort_library.empty()) c_options.ort_library = options.ort_library.c_str();
    return c_options;
  }

  void take(Handle* handle) {
    handle_.reset(handle);
    dvae_info info = DVAE_INFO_INIT;
    check(Api::info(handle, &info));
    info_ = {info.latent_dim, info.height,          info.width,          info.labels,
             info.dataset,    info.runtime_version, info.runtime_library};
  }

  std::unique_ptr<Handle, void (*)(Handle*)> handle_;
  Info info_{};
};

template <typename Pixel>
constexpr void require_pixel() {
  static_assert(std::is_same_v<Pixel, std::uint8_t> || std::is_same_v<Pixel, float>,
                "images are std::uint8_t or float");
}

}  // namespace detail

// The class-conditional latent mixture, prior.onnx.
class Prior : public detail::Model<detail::PriorApi> {
 public:
  using Model::Model;
};

// The decoder p(x|z), decoder.onnx.
class Decoder : public detail::Model<detail::DecoderApi> {
 public:
  using Model::Model;

  // Latents first … first + count − 1 of a seed, [count, latent_dim].
  std::vector<float> latents(std::size_t count, const SampleOptions& options = {}) const {
    std::vector<float> z(detail::values_of(count, info().latent_dim));
    call(options, [&](const dvae_sample_options& c_options) {
      return dvae_latents(get(), &c_options, count, z.data(), z.size() * sizeof(float), nullptr);
    });
    return z;
  }

  // Images first … first + count − 1 of a seed, [count, height, width].
  template <typename Pixel>
  std::vector<Pixel> sample(std::size_t count, const SampleOptions& options = {}) const {
    std::vector<Pixel> images(detail::values_of(count, info().pixels()));
    sample_into(images.data(), images.size(), count, options);
    return images;
  }

  // With the class of each; needs a prior.
  template <typename Pixel>
  Labelled<Pixel> sample_labelled(std::size_t count, const SampleOptions& options) const {
    Labelled<Pixel> result{std::vector<Pixel>(detail::values_of(count, info().pixels())),
                           std::vector<std::int32_t>(count)};
    sample_into(result.values.data(), result.values.size(), count, options, result.labels.data());
    return result;
  }

  // Into memory of yours: `size` pixels, at least count × height × width; `labels` [count] or nullptr.
  template <typename Pixel>
  void sample_into(Pixel* images, std::size_t size, std::size_t count, const SampleOptions& options = {},
                   std::int32_t* labels = nullptr) const {
    detail::require_pixel<Pixel>();
    call(options, [&](const dvae_sample_options& c_options) {
      if constexpr (std::is_same_v<Pixel, float>) {
        return dvae_sample_f32(get(), &c_options, count, images, size * sizeof(Pixel), labels);
      } else {
        return dvae_sample_u8(get(), &c_options, count, images, size * sizeof(Pixel), labels);
      }
    });
  }

  // Hand `count` images over in order, `chunk` at a time (0: 4096), in constant memory:
  // consume(first, rows, images, labels) → bool, true to cancel. The arrays are yours to read during
  // that call; labels is nullptr without a prior.
  template <typename Pixel, typename Consume>
  void stream(std::uint64_t count, Consume&& consume, const SampleOptions& options = {}, std::size_t chunk = 0) const {
    detail::require_pixel<Pixel>();
    detail::Relay relay(options.progress);
    struct Context {
      detail::Relay& relay;
      std::remove_reference_t<Consume>& consume;
    } context{relay, consume};
    const auto callback = [](void* self, std::uint64_t first, std::size_t rows, const Pixel* images,
                             const std::int32_t* labels) -> std::int32_t {
      Context& c = *static_cast<Context*>(self);
      return c.relay.protect([&] { return c.consume(first, rows, images, labels); });
    };
    dvae_sample_options c_options = to_c(options);
    relay.put_into(c_options);
    if constexpr (std::is_same_v<Pixel, float>) {
      relay.check(dvae_stream_f32(get(), &c_options, count, chunk, callback, &context));
    } else {
      relay.check(dvae_stream_u8(get(), &c_options, count, chunk, callback, &context));
    }
  }

  // z [count, latent_dim], whose size says the count, to images [count, height, width].
  template <typename Pixel>
  std::vector<Pixel> decode(const std::vector<float>& z, const RunOptions& options = {}) const {
    detail::require_pixel<Pixel>();
    const std::size_t count = detail::rows_of(z.size(), info().latent_dim, "latents");
    std::vector<Pixel> images(detail::values_of(count, info().pixels()));
    detail::Relay relay(options.progress);
    dvae_run_options c_options = DVAE_RUN_OPTIONS_INIT;
    c_options.threads = options.threads;
    relay.put_into(c_options);
    const std::size_t bytes = images.size() * sizeof(Pixel);
    if constexpr (std::is_same_v<Pixel, float>) {
      relay.check(dvae_decode_f32(get(), z.data(), count, images.data(), bytes, &c_options));
    } else {
      relay.check(dvae_decode_u8(get(), z.data(), count, images.data(), bytes, &c_options));
    }
    return images;
  }

 private:
  static dvae_sample_options to_c(const SampleOptions& options) {
    dvae_sample_options c_options = DVAE_SAMPLE_OPTIONS_INIT;
    c_options.seed = options.seed;
    c_options.first = options.first;
    if (options.prior != nullptr) {
      c_options.prior = options.prior->get();
      if (c_options.prior == nullptr) throw Error(DVAE_INVALID_ARGUMENT, "the prior was moved elsewhere");
    }
    c_options.digit = options.digit;
    c_options.threads = options.threads;
    c_options.truncation = options.truncation;
    return c_options;
  }

  template <typename Work>
  static void call(const SampleOptions& options, const Work& work) {
    detail::Relay relay(options.progress);
    dvae_sample_options c_options = to_c(options);
    relay.put_into(c_options);
    relay.check(work(c_options));
  }
};

// The encoder q(z|x), encoder.onnx.
class Encoder : public detail::Model<detail::EncoderApi> {
 public:
  using Model::Model;

  // images [count, height, width], whose size says the count, to their posterior.
  template <typename Pixel>
  Posterior encode(const std::vector<Pixel>& images, const RunOptions& options = {}) const {
    detail::require_pixel<Pixel>();
    const std::size_t count = detail::rows_of(images.size(), info().pixels(), "images");
    const std::size_t values = detail::values_of(count, info().latent_dim);
    Posterior posterior{std::vector<float>(values), std::vector<float>(values)};
    detail::Relay relay(options.progress);
    dvae_run_options c_options = DVAE_RUN_OPTIONS_INIT;
    c_options.threads = options.threads;
    relay.put_into(c_options);
    const std::size_t bytes = posterior.mu.size() * sizeof(float);
    if constexpr (std::is_same_v<Pixel, float>) {
      relay.check(dvae_encode_f32(get(), images.data(), count, posterior.mu.data(), posterior.logvar.data(), bytes,
                                  &c_options));
    } else {
      relay.check(
          dvae_encode_u8(get(), images.data(), count, posterior.mu.data(), posterior.logvar.data(), bytes, &c_options));
    }
    return posterior;
  }
};

// From each row of a to the same row of b [count, latent_dim], `steps` latents: [count, steps, latent_dim].
inline std::vector<float> interpolate(const std::vector<float>& a, const std::vector<float>& b, std::size_t latent_dim,
                                      std::size_t steps, Interpolation method = Interpolation::kLerp) {
  const std::size_t count = detail::rows_of(a.size(), latent_dim, "latents");
  if (b.size() != a.size()) throw Error(DVAE_INVALID_ARGUMENT, "a and b differ in size");
  std::vector<float> z(detail::values_of(a.size(), steps));
  detail::check(dvae_interpolate(a.data(), b.data(), count, latent_dim, steps, static_cast<std::int32_t>(method),
                                 z.data(), z.size() * sizeof(float), nullptr));
  return z;
}

// A bilinear grid [rows, columns, latent_dim] between four corners [4, latent_dim]: top left, top right,
// bottom left, bottom right.
inline std::vector<float> grid(const std::vector<float>& corners, std::size_t rows, std::size_t columns) {
  const std::size_t latent_dim = detail::rows_of(corners.size(), 4, "corners");
  std::vector<float> z(detail::values_of(detail::values_of(rows, columns), latent_dim));
  detail::check(dvae_grid(corners.data(), latent_dim, rows, columns, z.data(), z.size() * sizeof(float), nullptr));
  return z;
}

// One point of that plane, [latent_dim]: `right` and `down` in [0, 1].
inline std::vector<float> grid_point(const std::vector<float>& corners, double right, double down) {
  std::vector<float> z(detail::rows_of(corners.size(), 4, "corners"));
  detail::check(dvae_grid_point(corners.data(), z.size(), right, down, z.data(), z.size() * sizeof(float)));
  return z;
}

inline std::string version() { return dvae_version(); }

}  // namespace dvae

#endif
