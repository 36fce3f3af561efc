#include "picture.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <system_error>
#include <utility>

#include "sdl.hpp"

namespace {

constexpr SDL_Color kBackground{30, 32, 38, 255};
constexpr SDL_Color kLine{78, 82, 94, 255};
constexpr SDL_Color kAccent{255, 176, 32, 255};
constexpr SDL_Color kBlack{0, 0, 0, 255};

// In pixels of the picture.
struct Layout {
  SDL_Rect plane;
  int thumbnail_side;
  int digit_side;
};

Layout layout_of(int width, int height) {
  const int thumbnail_side = std::min(width, height) / 8;
  const int inset = thumbnail_side * 2 / 3;
  const SDL_Rect plane{inset, inset, std::max(1, width - 2 * inset), std::max(1, height - 2 * inset)};
  return {plane, thumbnail_side, std::min(plane.w, plane.h) - thumbnail_side};
}

SDL_Point pixel_of(Position position, const SDL_Rect& plane) {
  return {plane.x + static_cast<int>(std::lround(position.right * plane.w)),
          plane.y + static_cast<int>(std::lround(position.down * plane.h))};
}

void fill(SDL_Surface& picture, const SDL_Rect& where, SDL_Color color) {
  if (SDL_FillRect(&picture, &where, SDL_MapRGB(picture.format, color.r, color.g, color.b)) != 0) {
    throw SdlError("cannot draw");
  }
}

// A rectangle of this size around its centre.
SDL_Rect around(SDL_Point centre, int width, int height) {
  return {centre.x - width / 2, centre.y - height / 2, width, height};
}

// As large as fits into a square of this side. Each pixel becomes a square, so that what is seen is what the model
// made.
void draw_digit(SDL_Surface& picture, const Digit& digit, SDL_Point centre, int side, SDL_Color border) {
  const int scale = std::max(1, side / std::max(digit.width, digit.height));
  const SDL_Rect all = around(centre, digit.width * scale, digit.height * scale);
  constexpr int kBorder = 2;
  fill(picture, around(centre, all.w + 2 * kBorder, all.h + 2 * kBorder), border);
  auto pixel = digit.pixels.begin();
  for (int y = 0; y < digit.height; ++y) {
    for (int x = 0; x < digit.width; ++x) {
      const std::uint8_t grey = *pixel++;
      fill(picture, {all.x + x * scale, all.y + y * scale, scale, scale}, {grey, grey, grey, 255});
    }
  }
}

void draw_outline(SDL_Surface& picture, const SDL_Rect& rect) {
  fill(picture, rect, kLine);
  fill(picture, {rect.x + 1, rect.y + 1, rect.w - 2, rect.h - 2}, kBackground);
}

// Edged in black, to be seen on ink too.
void draw_mark(SDL_Surface& picture, SDL_Point centre) {
  constexpr int kLength = 21;
  constexpr int kThickness = 3;
  for (const auto& [edge, color] : {std::pair(2, kBlack), std::pair(0, kAccent)}) {
    fill(picture, around(centre, kLength + edge, kThickness + edge), color);
    fill(picture, around(centre, kThickness + edge, kLength + edge), color);
  }
}

// How much of this corner there is in a position's latent.
double weight_of(Position corner, Position position) {
  return (1.0 - std::abs(corner.right - position.right)) * (1.0 - std::abs(corner.down - position.down));
}

SDL_Color mix(SDL_Color a, SDL_Color b, double share) {
  const auto channel = [&](Uint8 from, Uint8 to) {
    return static_cast<Uint8>(std::lround(from + (to - from) * share));
  };
  return {channel(a.r, b.r), channel(a.g, b.g), channel(a.b, b.b), 255};
}

}  // namespace

void draw(SDL_Surface& picture, const Plane& plane, Position position) {
  const Layout layout = layout_of(picture.w, picture.h);
  fill(picture, {0, 0, picture.w, picture.h}, kBackground);
  draw_outline(picture, layout.plane);
  for (const Position corner : kCorners) {
    draw_digit(picture, plane.digit_at(corner), pixel_of(corner, layout.plane), layout.thumbnail_side,
               mix(kLine, kAccent, weight_of(corner, position)));
  }
  draw_digit(picture, plane.digit_at(position), {picture.w / 2, picture.h / 2}, layout.digit_side, kLine);
  draw_mark(picture, pixel_of(position, layout.plane));
}

Position position_at(SDL_Point pixel, int picture_width, int picture_height) {
  const SDL_Rect plane = layout_of(picture_width, picture_height).plane;
  return {std::clamp(static_cast<double>(pixel.x - plane.x) / plane.w, 0.0, 1.0),
          std::clamp(static_cast<double>(pixel.y - plane.y) / plane.h, 0.0, 1.0)};
}

void save_bmp(SDL_Surface& picture, const std::string& path) {
  const std::string temporary = path + "." + std::to_string(getpid()) + ".tmp";
  try {
    if (SDL_SaveBMP(&picture, temporary.c_str()) != 0) throw SdlError("cannot write " + path);
    if (std::rename(temporary.c_str(), path.c_str()) != 0) {
      throw std::system_error(errno, std::generic_category(), "cannot write " + path);
    }
  } catch (...) {
    std::remove(temporary.c_str());
    throw;
  }
}
