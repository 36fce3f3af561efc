// What the caller's latents and images are turned into: decode, encode, interpolate.
#include <digitvae/digitvae.h>

#include "c_api/arguments.hpp"
#include "c_api/status.hpp"
#include "model/interpolation.hpp"

namespace digitvae::c_api {
namespace {

// `work(threads, poll)` over `rows` rows, reporting its end.
template <typename Work>
void run(const dvae_run_options& options, std::size_t rows, std::initializer_list<Output> outputs, const Work& work) {
  all_or_zeros(outputs,
               [&] { work(options.threads, poll_of(options.progress, options.progress_context, 0, rows, rows)); });
  if (options.progress != nullptr) options.progress(options.progress_context, rows, rows);
}

template <typename Pixel>
dvae_status decode(const dvae_decoder* decoder, const float* z, std::size_t count, Pixel* images,
                   std::size_t images_bytes, const dvae_run_options* given) {
  return guarded([&] {
    const Decoder& core = require(decoder, "decoder").core;
    const dvae_run_options options = read_run_options(given);
    require_rows(count);
    require(z, "z");
    array_bytes(count, core.info().latent_dim, sizeof *z, "z");
    require_output(images, images_bytes, count, core.info().pixels(), "images");
    run(options, count, {{images, count * core.info().pixels() * sizeof(Pixel)}},
        [&](unsigned threads, const Poll& poll) { core.decode(z, count, images, threads, poll); });
  });
}

template <typename Pixel>
dvae_status encode(const dvae_encoder* encoder, const Pixel* images, std::size_t count, float* mu, float* logvar,
                   std::size_t posterior_bytes, const dvae_run_options* given) {
  return guarded([&] {
    const Encoder& core = require(encoder, "encoder").core;
    const dvae_run_options options = read_run_options(given);
    require_rows(count);
    require(images, "images");
    array_bytes(count, core.info().pixels(), sizeof(Pixel), "images");
    const std::size_t dim = core.info().latent_dim;
    require_output(mu, posterior_bytes, count, dim, "mu");
    require_output(logvar, posterior_bytes, count, dim, "logvar");
    const std::size_t bytes = count * dim * sizeof *mu;
    run(options, count, {{mu, bytes}, {logvar, bytes}},
        [&](unsigned threads, const Poll& poll) { core.encode(images, count, mu, logvar, threads, poll); });
  });
}

void require_dim(std::size_t latent_dim) {
  if (latent_dim == 0) throw InvalidArgument("latent_dim is 0, expected at least 1");
}

Interpolation method_of(std::int32_t method) {
  switch (method) {
    case DVAE_LERP:
      return Interpolation::kLinear;
    case DVAE_SLERP:
      return Interpolation::kSpherical;
    default:
      throw InvalidArgument("method is " + std::to_string(method) + ", expected DVAE_LERP (0) or DVAE_SLERP (1)");
  }
}

// a × b rows of latents, as many as memory could hold at all.
std::size_t product(std::size_t a, std::size_t b) { return array_bytes(a, b, 1, "z"); }

}  // namespace
}  // namespace digitvae::c_api

using namespace digitvae::c_api;

extern "C" {

dvae_status dvae_decode_u8(const dvae_decoder* decoder, const float* z, size_t count, uint8_t* images,
                           size_t images_bytes, const dvae_run_options* options) {
  return decode(decoder, z, count, images, images_bytes, options);
}

dvae_status dvae_decode_f32(const dvae_decoder* decoder, const float* z, size_t count, float* images,
                            size_t images_bytes, const dvae_run_options* options) {
  return decode(decoder, z, count, images, images_bytes, options);
}

dvae_status dvae_encode_u8(const dvae_encoder* encoder, const uint8_t* images, size_t count, float* mu, float* logvar,
                           size_t posterior_bytes, const dvae_run_options* options) {
  return encode(encoder, images, count, mu, logvar, posterior_bytes, options);
}

dvae_status dvae_encode_f32(const dvae_encoder* encoder, const float* images, size_t count, float* mu, float* logvar,
                            size_t posterior_bytes, const dvae_run_options* options) {
  return encode(encoder, images, count, mu, logvar, posterior_bytes, options);
}

dvae_status dvae_interpolate(const float* a, const float* b, size_t count, size_t latent_dim, size_t steps,
                             int32_t method, float* z, size_t z_bytes, const dvae_run_options* options) {
  return guarded([&] {
    const dvae_run_options read = read_run_options(options);
    const digitvae::Interpolation path = method_of(method);
    require_rows(count);
    require_dim(latent_dim);
    require(a, "a");
    require(b, "b");
    const std::size_t rows = product(count, steps);
    require_output(z, z_bytes, rows, latent_dim, "z");
    run(read, rows, {{z, rows * latent_dim * sizeof *z}}, [&](unsigned threads, const digitvae::Poll& poll) {
      digitvae::interpolate(a, b, count, latent_dim, steps, path, z, threads, poll);
    });
  });
}

dvae_status dvae_grid(const float* corners, size_t latent_dim, size_t rows, size_t columns, float* z, size_t z_bytes,
                      const dvae_run_options* options) {
  return guarded([&] {
    const dvae_run_options read = read_run_options(options);
    require_dim(latent_dim);
    require(corners, "corners");
    const std::size_t points = product(rows, columns);
    require_output(z, z_bytes, points, latent_dim, "z");
    run(read, points, {{z, points * latent_dim * sizeof *z}}, [&](unsigned threads, const digitvae::Poll& poll) {
      digitvae::grid_between(corners, latent_dim, rows, columns, z, threads, poll);
    });
  });
}

dvae_status dvae_grid_point(const float* corners, size_t latent_dim, double right, double down, float* z,
                            size_t z_bytes) {
  return guarded([&] {
    require_dim(latent_dim);
    require(corners, "corners");
    array_bytes(4, latent_dim, sizeof *corners, "corners");
    require_output(z, z_bytes, 1, latent_dim, "z");
    digitvae::point_between(corners, latent_dim, right, down, z);
  });
}

}  // extern "C"
