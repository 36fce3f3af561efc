#include "plane.hpp"

namespace {

std::vector<float> corners_of(const dvae::Decoder& decoder, std::uint64_t seed) {
  dvae::SampleOptions options;
  options.seed = seed;
  return decoder.latents(kCorners.size(), options);
}

}  // namespace

Plane::Plane(const dvae::Decoder& decoder, std::uint64_t seed)
    : decoder_(&decoder), seed_(seed), corners_(corners_of(decoder, seed)) {}

Digit Plane::digit_at(Position position) const {
  dvae::RunOptions options;
  options.threads = 1;  // starting others would take longer than one digit does
  const dvae::Info& info = decoder_->info();
  return {static_cast<int>(info.width), static_cast<int>(info.height),
          decoder_->decode<std::uint8_t>(dvae::grid_point(corners_, position.right, position.down), options)};
}
