// The latent plane between four digits.
#pragma once

#include <array>
#include <cstdint>
#include <digitvae/digitvae.hpp>
#include <vector>

// A point of the plane: the shares of the way from left to right and from top to bottom, in [0, 1].
struct Position {
  double right;
  double down;
};

constexpr std::array<Position, 4> kCorners{{{0, 0}, {1, 0}, {0, 1}, {1, 1}}};  // in the order of dvae::grid_point

// Intensities, row by row: 0 background, 255 ink.
struct Digit {
  int width;
  int height;
  std::vector<std::uint8_t> pixels;
};

// Its corners are the first four latents of a seed. `decoder` must outlive it.
class Plane {
 public:
  Plane(const dvae::Decoder& decoder, std::uint64_t seed);

  std::uint64_t seed() const { return seed_; }
  Plane of_next_seed() const { return {*decoder_, seed_ + 1}; }
  Digit digit_at(Position position) const;

 private:
  const dvae::Decoder* decoder_;
  std::uint64_t seed_;
  std::vector<float> corners_;
};
