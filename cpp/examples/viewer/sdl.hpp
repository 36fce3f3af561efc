// SDL's errors as exceptions, its objects as owners of themselves.
#pragma once

#include <SDL.h>

#include <memory>
#include <stdexcept>
#include <string>

class SdlError : public std::runtime_error {
 public:
  explicit SdlError(const std::string& what) : std::runtime_error(what + ": " + SDL_GetError()) {}
};

using OwnedSurface = std::unique_ptr<SDL_Surface, void (*)(SDL_Surface*)>;
using OwnedWindow = std::unique_ptr<SDL_Window, void (*)(SDL_Window*)>;
