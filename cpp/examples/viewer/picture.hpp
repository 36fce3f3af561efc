// What there is to see of a plane: the digit at one position in the middle, the corners' digits as thumbnails, and
// a mark at the position. The plane reaches from the middle of each thumbnail to those of the others.
#pragma once

#include <SDL.h>

#include <string>

#include "plane.hpp"

void draw(SDL_Surface& picture, const Plane& plane, Position position);

// The position that the mark shows when it is at this pixel; the nearest one for pixels beyond the plane.
Position position_at(SDL_Point pixel, int picture_width, int picture_height);

// The file is there whole or not at all. Throws SdlError or std::system_error.
void save_bmp(SDL_Surface& picture, const std::string& path);
